"""Band gap, and where its edges lie."""

import dataclasses

import numpy as np
from scipy.optimize import minimize

from keras_hamiltonian.physics.k_points import monkhorst_pack
from keras_hamiltonian.physics.k_points import solve_k_points
from keras_hamiltonian.physics.states import lowest_states

# A wave vector of an edge is moved until its energy is this sharp, in eV.
EDGE_TOLERANCE = 1e-6


@dataclasses.dataclass
class BandGap:
    """A band gap; energies in eV, wave vectors fractional.

    Attributes:
        gap: float. From the highest occupied to the lowest empty state; 0 in a
            metal.
        direct_gap: float. The smallest gap at one wave vector.
        valence_edge: float. Energy of the highest occupied state.
        conduction_edge: float. Energy of the lowest empty state.
        valence_k: `(3,)` array. Where the valence edge lies.
        conduction_k: `(3,)` array. Where the conduction edge lies.
        direct_k: `(3,)` array. Where the direct gap lies.
    """

    gap: float
    direct_gap: float
    valence_edge: float
    conduction_edge: float
    valence_k: np.ndarray
    conduction_k: np.ndarray
    direct_k: np.ndarray

    def __repr__(self):
        return f"BandGap({self.gap:.4f} eV, direct {self.direct_gap:.4f} eV)"


def gap_of_bands(k_points, energies, fermi_level=None, num_occupied=None):
    """The gap between bands that are known at some wave vectors.

    Args:
        k_points: `(num_k, 3)` array, fractional.
        energies: `(num_k, num_bands)` array in eV, ascending, NaN where a band
            was not solved; from `solve_bands`.
        fermi_level: float, in eV. Says which bands are occupied.
        num_occupied: int. The same as a number of bands.

    Returns:
        `BandGap`. Where the number of bands below the Fermi level changes,
        the crystal is a metal; its edges are those of the mean number.

    Raises:
        ValueError: if not exactly one of `fermi_level` and `num_occupied` is
            given, or no band lies on one side of the gap.
    """
    if (fermi_level is None) == (num_occupied is None):
        raise ValueError("Give either `fermi_level` or `num_occupied`.")
    crosses = False
    if num_occupied is None:
        # Bands before the first solved one are lower: they are occupied.
        known = np.maximum.accumulate(~np.isnan(energies), axis=1)
        counts = ((energies <= fermi_level) | ~known).sum(axis=1)
        counts = counts[known.any(axis=1)]
        if counts.min() == 0 or counts.max() == energies.shape[1]:
            raise ValueError(
                f"The Fermi level {fermi_level} eV lies outside the "
                f"{energies.shape[1]} bands that were solved."
            )
        crosses = counts.min() < counts.max()
        num_occupied = int(round(counts.mean()))
    if not 0 < num_occupied < energies.shape[1]:
        raise ValueError(
            f"With {num_occupied} of {energies.shape[1]} bands occupied there "
            "is no gap between bands."
        )
    below, above = energies[:, num_occupied - 1], energies[:, num_occupied]
    if np.isnan(below).all() or np.isnan(above - below).all():
        raise ValueError(
            "At no wave vector both edges of the gap were solved; solve more "
            "bands about the Fermi level."
        )
    top, bottom = int(np.nanargmax(below)), int(np.nanargmin(above))
    direct = int(np.nanargmin(above - below))
    gap = 0.0 if crosses else max(0.0, float(above[bottom] - below[top]))
    k_points = np.asarray(k_points)
    return BandGap(
        gap,
        0.0 if crosses else float(above[direct] - below[direct]),
        float(below[top]),
        float(above[bottom]),
        k_points[top],
        k_points[bottom],
        k_points[direct],
    )


def find_gap(matrices, num_electrons, grid, refine=True, workers=1):
    """Band gap of a crystal from a grid of wave vectors.

    Args:
        matrices: `BlochMatrices`, small enough for dense matrices.
        num_electrons: int. Valence electrons per cell.
        grid: three ints. Sizes of a grid about Γ; 1 along vacuum.
        refine: bool. Moves the wave vectors of the three edges from the grid
            to the nearest extremum.
        workers: int. Processes, see `solve_k_points`.

    Returns:
        `BandGap`; the gap of a semimetal is 0.

    Raises:
        ValueError: if the electrons fill half a band.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> dimers = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 1), (0, 0, 0, 1, 0)], [-np.eye(1), -np.eye(1)]
    ... )
    >>> matrices = BlochMatrices(dimers, None, [1, 1])
    >>> find_gap(matrices, num_electrons=2, grid=(4, 1, 1)).gap
    2.0
    """
    degeneracy = 1 if matrices.spinful else 2
    num_occupied = int(round(num_electrons / degeneracy))
    if abs(num_occupied * degeneracy - num_electrons) > 1e-3:
        raise ValueError(
            f"{num_electrons} electrons fill {num_electrons / degeneracy} "
            "bands: a metal, without a gap."
        )
    k_points = monkhorst_pack(grid, gamma_centered=True)
    solved = solve_k_points(
        lowest_states,
        matrices,
        k_points,
        workers,
        num_states=min(num_occupied + 1, matrices.size),
        coefficients=False,
    )
    energies = np.array([states.energies for states in solved])
    found = gap_of_bands(k_points, energies, num_occupied=num_occupied)
    if not refine:
        return found

    def bands(k_point):
        states = lowest_states(
            matrices, k_point, num_occupied + 1, coefficients=False
        )
        return states.energies[-2:]

    steps = np.where(matrices.periodic, 0.5 / np.asarray(grid), 0.0)
    top, high = _minimum(lambda k: -bands(k)[0], found.valence_k, steps)
    bottom, low = _minimum(lambda k: bands(k)[1], found.conduction_k, steps)
    both, direct = _minimum(
        lambda k: np.diff(bands(k))[0], found.direct_k, steps
    )
    gap = max(0.0, low + high)
    return BandGap(gap, direct, -high, low, top, bottom, both)


def _minimum(function, start, steps):
    """The nearest minimum along the directions whose step is not zero."""
    free = steps > 0
    if not free.any():
        return start, float(function(start))

    def moved(offset):
        k_point = start.copy()
        k_point[free] += offset
        return k_point

    corners = np.concatenate([np.zeros((1, free.sum())), np.diag(steps[free])])
    found = minimize(
        lambda offset: function(moved(offset)),
        corners[0],
        method="Nelder-Mead",
        options={
            "initial_simplex": corners / 2,
            "fatol": EDGE_TOLERANCE,
            "xatol": 1e-5,
        },
    )
    # All corners are on one side of the start, where symmetry puts most
    # extrema exactly.
    if function(start) <= found.fun + EDGE_TOLERANCE:
        return start, float(function(start))
    return moved(found.x), float(found.fun)
