"""Shells of the elements, and the matrix blocks they span."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "basis": ["OrbitalBasis"],
        "block_matrix": ["BlockMatrix"],
    },
)
