"""Bands, Fermi level and overlap of a crystal, in NumPy and SciPy."""

from keras_hamiltonian.physics.bands import BandStructure
from keras_hamiltonian.physics.bands import band_structure
from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.dos import DensityOfStates
from keras_hamiltonian.physics.dos import density_of_states
from keras_hamiltonian.physics.dos import local_density_of_states
from keras_hamiltonian.physics.effective_mass import EffectiveMass
from keras_hamiltonian.physics.effective_mass import effective_mass
from keras_hamiltonian.physics.energy_shift import EnergyShift
from keras_hamiltonian.physics.fermi import count_electrons
from keras_hamiltonian.physics.fermi import fermi_level_of_bands
from keras_hamiltonian.physics.fermi import find_fermi_level
from keras_hamiltonian.physics.fermi import infer_electrons
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.fermi import total_electrons
from keras_hamiltonian.physics.gap import BandGap
from keras_hamiltonian.physics.gap import find_gap
from keras_hamiltonian.physics.gap import gap_of_bands
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import KPath
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.physics.k_points import k_path
from keras_hamiltonian.physics.k_points import monkhorst_pack
from keras_hamiltonian.physics.k_points import periodic_directions
from keras_hamiltonian.physics.k_points import solve_k_points
from keras_hamiltonian.physics.kernel_polynomial import KernelPolynomial
from keras_hamiltonian.physics.occupations import Occupations
from keras_hamiltonian.physics.occupations import occupations
from keras_hamiltonian.physics.optics import OpticalConductivity
from keras_hamiltonian.physics.optics import VelocityOperator
from keras_hamiltonian.physics.optics import optical_conductivity
from keras_hamiltonian.physics.overlap import TwoCentreOverlap
from keras_hamiltonian.physics.populations import atom_populations
from keras_hamiltonian.physics.populations import mulliken_populations
from keras_hamiltonian.physics.populations import orbital_groups
from keras_hamiltonian.physics.populations import participation_ratios
from keras_hamiltonian.physics.reach import estimate_reaches
from keras_hamiltonian.physics.solvers.dissection import Dissection
from keras_hamiltonian.physics.solvers.factorization import factorize
from keras_hamiltonian.physics.solvers.hermitian_factors import HermitianFactors
from keras_hamiltonian.physics.states import States
from keras_hamiltonian.physics.states import check_overlap
from keras_hamiltonian.physics.states import count_states
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.physics.states import nearest_states
from keras_hamiltonian.physics.states import states_in_window

__all__ = [
    "EnergyShift",
    "BandGap",
    "BandStructure",
    "BlochMatrices",
    "DensityOfStates",
    "Dissection",
    "EffectiveMass",
    "HermitianFactors",
    "KPath",
    "KernelPolynomial",
    "Occupations",
    "OpticalConductivity",
    "States",
    "TwoCentreOverlap",
    "VelocityOperator",
    "atom_populations",
    "band_structure",
    "check_overlap",
    "count_electrons",
    "count_states",
    "density_of_states",
    "effective_mass",
    "estimate_reaches",
    "factorize",
    "fermi_level_of_bands",
    "find_fermi_level",
    "find_gap",
    "gap_of_bands",
    "infer_electrons",
    "k_grid",
    "k_grid_points",
    "k_path",
    "local_density_of_states",
    "lowest_states",
    "monkhorst_pack",
    "mulliken_populations",
    "nearest_states",
    "occupations",
    "optical_conductivity",
    "orbital_groups",
    "participation_ratios",
    "periodic_directions",
    "solve_bands",
    "solve_k_points",
    "states_in_window",
    "total_electrons",
]
