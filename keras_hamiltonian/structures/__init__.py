"""Neighbour lists; what the cells of a set tell apart."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "neighbors": ["neighbor_table", "NeighborTable", "pairs_within"],
        "separation": ["primitive_cell", "Separation", "separations"],
        "triangles": ["common_neighbors"],
    },
)
