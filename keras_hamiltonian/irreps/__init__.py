"""Representations of rotations and inversion, in NumPy float64."""

from keras_hamiltonian.irreps.clebsch_gordan import clebsch_gordan
from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.rotation import bond_frames
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.irreps.wigner import spherical_harmonics
from keras_hamiltonian.irreps.wigner import wigner_d_matrix

__all__ = [
    "Irrep",
    "Irreps",
    "bond_frames",
    "clebsch_gordan",
    "random_rotations",
    "spherical_harmonics",
    "wigner_d_matrix",
]
