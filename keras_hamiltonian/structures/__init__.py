"""Neighbour lists."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "common_neighbors": "triangles",
        "NeighborTable": "neighbors",
        "neighbor_table": "neighbors",
        "pairs_within": "neighbors",
    },
)
