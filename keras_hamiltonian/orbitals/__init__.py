"""Shells of the elements, and the matrix blocks they span."""

from keras_hamiltonian.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__, {"BlockMatrix": "block_matrix", "OrbitalBasis": "basis"}
)
