"""Checks of layers and models, for your tests too."""

from keras_hamiltonian.testing.block_rotation import rotate_blocks_in_numpy
from keras_hamiltonian.testing.check_layer import check_layer
from keras_hamiltonian.testing.symmetry import assert_blocks_equivariant
from keras_hamiltonian.testing.symmetry import assert_edge_equivariant
from keras_hamiltonian.testing.symmetry import assert_equivariant
from keras_hamiltonian.testing.symmetry import assert_permutation_equivariant

__all__ = [
    "assert_blocks_equivariant",
    "assert_edge_equivariant",
    "assert_equivariant",
    "assert_permutation_equivariant",
    "check_layer",
    "rotate_blocks_in_numpy",
]
