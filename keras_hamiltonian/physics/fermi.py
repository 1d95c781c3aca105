"""The Fermi level from the number of electrons."""

import numpy as np
from scipy.optimize import bisect
from scipy.special import expit

from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.k_points import monkhorst_pack

BOLTZMANN_IN_EV_PER_KELVIN = 8.617333262e-5
# Where the count stays this close to the wanted one, the level is open: the
# middle of that range is taken, which is the middle of a gap.
COUNT_TOLERANCE = 1e-9


def find_fermi_level(
    matrices, num_electrons, grid, temperature=300.0, gamma_centered=False
):
    """Fermi level of a crystal from a grid of wave vectors.

    Args:
        matrices: `BlochMatrices`.
        num_electrons: float. Valence electrons per cell.
        grid: three ints. Monkhorst-Pack sizes; 1 along vacuum.
        temperature: float. Of the Fermi-Dirac occupations, in K.
        gamma_centered: bool. See `monkhorst_pack`.

    Returns:
        float, in eV. In a gap, its middle.

    Raises:
        ValueError: if the bands cannot hold the electrons.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> levels = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 0)], [np.diag([-1.0, 3.0])]
    ... )
    >>> matrices = BlochMatrices(levels, None, [2])
    >>> round(find_fermi_level(matrices, num_electrons=2, grid=(1, 1, 1)), 6)
    1.0
    """
    k_points = monkhorst_pack(grid, gamma_centered)
    weights = np.full(len(k_points), 1 / len(k_points))
    if not matrices.spinful:
        # A real Hamiltonian has the same energies at k and -k.
        k_points, weights = _fold_inversion(k_points)
    return fermi_level_of_bands(
        solve_bands(matrices, k_points),
        num_electrons,
        weights=weights,
        temperature=temperature,
        degeneracy=1 if matrices.spinful else 2,
    )


def fermi_level_of_bands(
    energies, num_electrons, weights=None, temperature=300.0, degeneracy=2
):
    """Fermi level at which the bands hold the electrons.

    Args:
        energies: `(num_k, num_bands)` array, in eV.
        num_electrons: float. Electrons per cell.
        weights: `(num_k,)` array that sums to 1. Defaults to equal weights.
        temperature: float. Of the Fermi-Dirac occupations, in K.
        degeneracy: int. Electrons per band: 2 without spin, 1 with spin.

    Returns:
        float, in eV. In a gap, its middle.

    Raises:
        ValueError: if the bands cannot hold the electrons.
    """
    energies = np.asarray(energies, dtype=np.float64)
    capacity = degeneracy * energies.shape[1]
    if not 0 < num_electrons < capacity:
        raise ValueError(
            f"{energies.shape[1]} bands hold between 0 and {capacity} "
            f"electrons per cell. Received: num_electrons={num_electrons}."
        )
    if not temperature > 0:
        raise ValueError(
            f"`temperature` is positive, in K. Received: {temperature}."
        )

    def excess(level):
        count = count_electrons(
            energies, level, weights, temperature, degeneracy
        )
        return count - num_electrons

    margin = 100 * BOLTZMANN_IN_EV_PER_KELVIN * temperature
    low = np.nanmin(energies) - margin
    high = np.nanmax(energies) + margin
    tolerance = COUNT_TOLERANCE * min(
        1.0, num_electrons, capacity - num_electrons
    )
    lower = bisect(lambda e: excess(e) + tolerance, low, high, xtol=1e-12)
    upper = bisect(lambda e: excess(e) - tolerance, low, high, xtol=1e-12)
    return (lower + upper) / 2


def count_electrons(
    energies, fermi_level, weights=None, temperature=300.0, degeneracy=2
):
    """Electrons per cell that bands hold below a Fermi level.

    Args:
        energies: `(num_k, num_bands)` array, in eV; NaN counts as empty.
        fermi_level: float, in eV.
        weights: `(num_k,)` array that sums to 1. Defaults to equal weights.
        temperature: float. Of the Fermi-Dirac occupations, in K.
        degeneracy: int. Electrons per band: 2 without spin, 1 with spin.

    Returns:
        float.
    """
    thermal = BOLTZMANN_IN_EV_PER_KELVIN * temperature
    occupations = expit((fermi_level - np.asarray(energies)) / thermal)
    per_k = degeneracy * np.nansum(occupations, axis=1)
    return float(np.average(per_k, weights=weights))


def _fold_inversion(k_points):
    """One of each pair (k, -k), modulo reciprocal vectors, with weights."""
    steps = np.round(np.stack([k_points, -k_points]) * 2**20) % 2**20
    keys = [min(map(tuple, pair)) for pair in steps.transpose(1, 0, 2).tolist()]
    _, first, counts = np.unique(
        np.array(keys), axis=0, return_index=True, return_counts=True
    )
    return k_points[first], counts / len(k_points)
