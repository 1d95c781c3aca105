"""What the occupied states add up to: band energy, electrons of each atom."""

import dataclasses

import numpy as np
from scipy.special import expit

from keras_hamiltonian.physics.fermi import BOLTZMANN_IN_EV_PER_KELVIN
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.populations import atom_populations
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.physics.workers import solve_k_points


@dataclasses.dataclass
class Occupations:
    """Sums over the occupied states of one cell.

    Attributes:
        band_energy: float, eV. Sum of the energies of all valence electrons.
            No total energy: repulsion of the ions is missing, that of the
            electrons counts twice, and it shifts with the zero of energy.
        populations: `(num_atoms,)` array. Valence electrons of each atom, by
            Mulliken: what two atoms share is halved.
        fermi_level: float, eV.
    """

    band_energy: float
    populations: np.ndarray
    fermi_level: float


def occupations(
    matrices,
    fermi_level,
    grid,
    temperature=300.0,
    gamma_centered=True,
    workers=1,
):
    """Sums over the occupied states, on a grid of wave vectors.

    Args:
        matrices: `BlochMatrices`, small enough for dense matrices.
        fermi_level: float, in eV.
        grid: three ints. Monkhorst-Pack sizes; 1 along vacuum.
        temperature: float. Of the Fermi-Dirac occupations, in K.
        gamma_centered: bool. See `monkhorst_pack`.
        workers: int. Processes, see `solve_k_points`.

    Returns:
        `Occupations`.

    Raises:
        ValueError: if the cell is too large for all states.

    Example, a bond between unlike atoms:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> pairs = [(0, 0, 0, *p) for p in ((0, 0), (1, 1), (0, 1), (1, 0))]
    >>> blocks = [np.full((1, 1), x) for x in (-3.0, 3.0, -4.0, -4.0)]
    >>> matrices = BlochMatrices(
    ...     BlockMatrix.from_blocks(pairs, blocks), None, [1, 1]
    ... )
    >>> found = occupations(matrices, 0.0, (1, 1, 1))
    >>> round(found.band_energy, 6), found.populations.round(6).tolist()
    (-10.0, [1.6, 0.4])

    Reference: Mulliken, J. Chem. Phys. 23, 1833 (1955).
    """
    k_points, weights = k_grid_points(matrices, grid, gamma_centered)
    solved = solve_k_points(
        _sums,
        matrices,
        k_points,
        workers,
        fermi_level=fermi_level,
        temperature=temperature,
    )
    energies, populations = zip(*solved)
    return Occupations(
        float(weights @ energies), weights @ np.array(populations), fermi_level
    )


def _sums(matrices, k_point, fermi_level, temperature):
    """Energy and populations of one wave vector."""
    states = lowest_states(matrices, k_point)
    thermal = BOLTZMANN_IN_EV_PER_KELVIN * temperature
    filled = expit((fermi_level - states.energies) / thermal)
    filled *= 1 if matrices.spinful else 2
    return filled @ states.energies, atom_populations(states, matrices) @ filled
