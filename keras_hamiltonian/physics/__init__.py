"""Bands, Fermi level and overlap of a crystal, in NumPy and SciPy."""

from keras_hamiltonian.physics.bands import BandStructure
from keras_hamiltonian.physics.bands import band_structure
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.fermi import count_electrons
from keras_hamiltonian.physics.fermi import fermi_level_of_bands
from keras_hamiltonian.physics.fermi import find_fermi_level
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import KPath
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.physics.k_points import monkhorst_pack
from keras_hamiltonian.physics.k_points import periodic_directions
from keras_hamiltonian.physics.overlap import TwoCentreOverlap
from keras_hamiltonian.physics.reach import estimate_reaches

__all__ = [
    "BandStructure",
    "BlochMatrices",
    "KPath",
    "TwoCentreOverlap",
    "band_structure",
    "count_electrons",
    "estimate_reaches",
    "fermi_level_of_bands",
    "find_fermi_level",
    "k_path",
    "monkhorst_pack",
    "periodic_directions",
    "solve_bands",
]
