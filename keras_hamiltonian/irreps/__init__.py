"""Representations of rotations and inversion, in NumPy float64."""

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.e3nn_weights import linear_from_e3nn
from keras_hamiltonian.irreps.e3nn_weights import linear_to_e3nn
from keras_hamiltonian.irreps.e3nn_weights import product_from_so2
from keras_hamiltonian.irreps.e3nn_weights import to_ir_mul
from keras_hamiltonian.irreps.e3nn_weights import to_mul_ir
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.product_paths import ProductPath
from keras_hamiltonian.irreps.product_paths import ProductPaths
from keras_hamiltonian.irreps.rotation import edge_frames
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.irreps.symmetric_couplings import symmetric_couplings
from keras_hamiltonian.irreps.wigner import spherical_harmonics
from keras_hamiltonian.irreps.wigner import wigner_d_matrix

__all__ = [
    "EdgeIrreps",
    "Irrep",
    "Irreps",
    "ProductPath",
    "ProductPaths",
    "edge_frames",
    "clebsch_gordan",
    "linear_from_e3nn",
    "linear_to_e3nn",
    "product_from_so2",
    "random_rotations",
    "spherical_harmonics",
    "symmetric_couplings",
    "to_ir_mul",
    "to_mul_ir",
    "wigner_d_matrix",
]
