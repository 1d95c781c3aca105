"""What the occupied states add up to: band energy, electrons of each atom."""

import dataclasses

import numpy as np
from scipy.special import expit

from keras_hamiltonian.physics.fermi import BOLTZMANN_IN_EV_PER_KELVIN
from keras_hamiltonian.physics.fermi import fermi_level_of_bands
from keras_hamiltonian.physics.fermi import k_grid_points
from keras_hamiltonian.physics.k_points import solve_k_points
from keras_hamiltonian.physics.populations import atom_populations
from keras_hamiltonian.physics.states import lowest_states


@dataclasses.dataclass
class Occupations:
    """Sums over the occupied states of one cell.

    Attributes:
        band_energy: float, eV. Sum of the energies of all valence electrons.
            No total energy: repulsion of the ions is missing, that of the
            electrons counts twice, and it shifts with the zero of energy.
        populations: `(num_atoms,)` array. Valence electrons of each atom, by
            Mulliken: what two atoms share is halved.
        fermi_level: float, eV. At which these states hold the electrons.
    """

    band_energy: float
    populations: np.ndarray
    fermi_level: float

    def __repr__(self):
        return (
            f"Occupations({self.populations.sum():.4f} electrons, band energy "
            f"{self.band_energy:.4f} eV)"
        )


def occupations(
    matrices,
    num_electrons,
    grid,
    temperature=300.0,
    gamma_centered=True,
    workers=1,
):
    """Sums over the occupied states, on a grid of wave vectors.

    Args:
        matrices: `BlochMatrices`, small enough for dense matrices.
        num_electrons: float. Valence electrons per cell.
        grid: three ints. Monkhorst-Pack sizes; 1 along vacuum.
        temperature: float. Of the Fermi-Dirac occupations, in K.
        gamma_centered: bool. See `monkhorst_pack`.
        workers: int. Processes, see `solve_k_points`.

    Returns:
        `Occupations`.

    Raises:
        ValueError: if the cell is too large for all states, or they cannot
            hold the electrons.

    Example, a bond between unlike atoms:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> pairs = [(0, 0, 0, *p) for p in ((0, 0), (1, 1), (0, 1), (1, 0))]
    >>> blocks = [np.full((1, 1), x) for x in (-3.0, 3.0, -4.0, -4.0)]
    >>> matrices = BlochMatrices(
    ...     BlockMatrix.from_blocks(pairs, blocks), None, [1, 1]
    ... )
    >>> found = occupations(matrices, 2, (1, 1, 1))
    >>> round(found.band_energy, 6), found.populations.round(6).tolist()
    (-10.0, [1.6, 0.4])

    Reference: Mulliken, J. Chem. Phys. 23, 1833 (1955).
    """
    k_points, weights = k_grid_points(matrices, grid, gamma_centered)
    degeneracy = 1 if matrices.spinful else 2
    solved = solve_k_points(_populated, matrices, k_points, workers)
    energies, populations = (np.array(x) for x in zip(*solved))
    level = fermi_level_of_bands(
        energies, num_electrons, weights, temperature, degeneracy
    )
    thermal = BOLTZMANN_IN_EV_PER_KELVIN * temperature
    filled = degeneracy * weights[:, None] * expit((level - energies) / thermal)
    return Occupations(
        float((filled * energies).sum()),
        np.einsum("kan,kn->a", populations, filled),
        level,
    )


def _populated(matrices, k_point):
    """Energies, and populations of the atoms, of all states."""
    states = lowest_states(matrices, k_point)
    return states.energies, atom_populations(states, matrices)
