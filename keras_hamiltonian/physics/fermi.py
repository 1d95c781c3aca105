"""The Fermi level from the number of electrons."""

import numpy as np
from scipy.optimize import bisect
from scipy.special import expit

from keras_hamiltonian.physics.bands import solve_bands
from keras_hamiltonian.physics.hamiltonian import LARGEST_DENSE
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.k_points import monkhorst_pack
from keras_hamiltonian.physics.k_points import solve_k_points
from keras_hamiltonian.physics.states import count_states
from keras_hamiltonian.physics.states import states_in_window

BOLTZMANN_IN_EV_PER_KELVIN = 8.617333262e-5
# Where the count stays this close to the wanted one, the level is open: the
# middle of that range is taken, which is the middle of a gap.
COUNT_TOLERANCE = 1e-9
# States of large cells count as full or empty from this many k_B T on.
THERMAL_WIDTHS = 16.0
# First step (eV) away from a first guess, and how near a guess must come.
FIRST_STEP = 4.0
GUESS_TOLERANCE = 0.5
MOST_WINDOWS = 20
# Electrons found by filling bands differ by less from a whole number.
WHOLE_NUMBER_TOLERANCE = 0.05


def find_fermi_level(
    matrices,
    num_electrons,
    grid,
    temperature=300.0,
    gamma_centered=False,
    around=None,
    workers=1,
):
    """Fermi level of a crystal from a grid of wave vectors.

    All bands are solved. Cells too large for that take the states within
    `16 k_B T` of the level and the number of those below, which the sparse
    factorization gives.

    Args:
        matrices: `BlochMatrices`.
        num_electrons: float. Valence electrons per cell.
        grid: three ints. Monkhorst-Pack sizes; 1 along vacuum.
        temperature: float. Of the Fermi-Dirac occupations, in K.
        gamma_centered: bool. See `monkhorst_pack`.
        around: float. Approximate level, in eV; then only states near it are
            solved. Without it, the states of large cells are counted at about
            six energies first, with a factorization at each.
        workers: int. Processes, see `solve_k_points`.

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
    k_points, weights = k_grid_points(matrices, grid, gamma_centered)
    degeneracy = 1 if matrices.spinful else 2
    if around is None and matrices.size <= LARGEST_DENSE:
        return fermi_level_of_bands(
            solve_bands(matrices, k_points, workers=workers),
            num_electrons,
            weights=weights,
            temperature=temperature,
            degeneracy=degeneracy,
        )
    _check_number(num_electrons, degeneracy * matrices.size)
    if around is None:
        around = _guess(matrices, k_points[0], num_electrons / degeneracy)
    return _level_near(
        matrices,
        k_points,
        weights,
        num_electrons / degeneracy,
        temperature,
        around,
        workers,
    )


def k_grid_points(matrices, grid, gamma_centered=False):
    """Wave vectors of a grid and their weights, one of each pair (k, -k).

    Args:
        matrices: `BlochMatrices`. Without spin its energies at k and -k are
            the same; with spin all wave vectors are kept.
        grid: three ints. Monkhorst-Pack sizes; 1 along vacuum.
        gamma_centered: bool. See `monkhorst_pack`.

    Returns:
        `(num_k, 3)` array, fractional, and `(num_k,)` array that sums to 1.
    """
    k_points = monkhorst_pack(grid, gamma_centered)
    if matrices.spinful:
        return k_points, np.full(len(k_points), 1 / len(k_points))
    return _fold_inversion(k_points)


def spread_k_points(matrices, grid, number):
    """A few wave vectors of a grid about Γ, far from each other.

    Args:
        matrices: `BlochMatrices`.
        grid: three ints. Sizes, see `k_grid`.
        number: int. How many; Γ is the first one. As many as the grid has, if
            these are fewer.

    Returns:
        `(num_k, 3)` array, fractional.
    """
    k_points, _ = k_grid_points(matrices, grid, gamma_centered=True)
    if matrices.spinful:
        # The other half has the same levels (k and -k, Kramers).
        k_points = k_points[: len(k_points) // 2 + 1]
    chosen = np.linspace(0, len(k_points) - 1, number).round()
    return k_points[np.unique(chosen.astype(int))]


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
    _check_number(num_electrons, capacity)
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


def total_electrons(atoms, electrons):
    """Valence electrons of a structure.

    Args:
        atoms: `ase.Atoms`.
        electrons: float, the number per cell; or a dict from each element to
            those of one neutral atom, `{"Mo": 14, "S": 6}`, which depend on
            the pseudopotentials.

    Returns:
        float.

    Raises:
        ValueError: if an element is missing, or the number is not positive.

    Example:

    >>> import ase
    >>> total_electrons(ase.Atoms("MoS2"), {"Mo": 14, "S": 6})
    26.0
    """
    if isinstance(electrons, dict):
        symbols = atoms.get_chemical_symbols()
        missing = sorted({*symbols} - {*electrons})
        if missing:
            raise ValueError(
                f"{atoms.get_chemical_formula()} has {', '.join(missing)}, "
                "whose valence electrons are not given. Received: "
                f"{electrons}."
            )
        electrons = sum(electrons[symbol] for symbol in symbols)
    if not electrons > 0:
        raise ValueError(
            f"The number of electrons is positive. Received: {electrons}."
        )
    return float(electrons)


def _check_number(num_electrons, capacity):
    if not 0 < num_electrons < capacity:
        raise ValueError(
            f"The bands hold between 0 and {capacity} electrons per cell. "
            f"Received: num_electrons={num_electrons}."
        )


def _guess(matrices, k_point, num_occupied):
    """An energy with about this number of states below it."""
    hamiltonian = matrices.hamiltonian_at(k_point).diagonal().real
    energy = float(np.median(hamiltonian))
    low, high, step = None, None, FIRST_STEP
    while low is None or high is None or high - low > GUESS_TOLERANCE:
        count = count_states(matrices, k_point, energy)
        if abs(count - num_occupied) < 1:
            return energy
        if count < num_occupied:
            low = energy
        else:
            high = energy
        if low is None or high is None:
            energy += step if high is None else -step
            step *= 2
        else:
            energy = (low + high) / 2
    return (low + high) / 2


def _level_near(
    matrices, k_points, weights, num_occupied, temperature, around, workers
):
    """Fermi level from the states near a guess, which moves until it fits."""
    margin = THERMAL_WIDTHS * BOLTZMANN_IN_EV_PER_KELVIN * temperature
    half = max(2 * margin, GUESS_TOLERANCE)
    for _ in range(MOST_WINDOWS):
        window = (around - half, around + half)
        solved = solve_k_points(
            states_in_window,
            matrices,
            k_points,
            workers,
            window=window,
            coefficients=False,
        )
        counts = [len(states.energies) for states in solved]
        below = np.average([s.first for s in solved], weights=weights)
        above = below + np.average(counts, weights=weights)
        if num_occupied < below - COUNT_TOLERANCE:
            around -= half
        elif num_occupied > above + COUNT_TOLERANCE:
            around += half
        elif not any(counts):
            # Inside a gap.
            half *= 2
        elif min(num_occupied - below, above - num_occupied) < COUNT_TOLERANCE:
            # One edge of a gap: the window grows towards the other.
            is_above = num_occupied > below + COUNT_TOLERANCE
            around += half / 2 if is_above else -half / 2
            half *= 1.5
        else:
            energies = np.full((len(solved), max(counts)), np.nan)
            for row, states in zip(energies, solved):
                row[: len(states.energies)] = states.energies
            level = fermi_level_of_bands(
                energies, num_occupied - below, weights, temperature, 1
            )
            if abs(level - around) < half - margin:
                return level
            around = level
    raise ValueError(
        f"No Fermi level was found within {MOST_WINDOWS} windows; the last "
        f"reached from {window[0]:.2f} to {window[1]:.2f} eV. Give `around`."
    )


def infer_electrons(
    calculation, grid, temperature=300.0, tolerance=WHOLE_NUMBER_TOLERANCE
):
    """Valence electrons that a calculation had, from its Fermi level.

    For files that keep H, S and the Fermi level but not the electrons, such as
    DeepH folders: the bands are filled up to the level.

    Args:
        calculation: `Calculation` with Hamiltonian, overlap and Fermi level.
        grid: three ints. Monkhorst-Pack sizes, those of the calculation where
            they are known; 1 along vacuum.
        temperature: float. Of the Fermi-Dirac occupations, in K.
        tolerance: float. Largest distance from a whole number. On another
            grid than that of the calculation a metal's number is less exact.

    Returns:
        float, a whole number.

    Raises:
        ValueError: if something is missing, or if the level does not give a
            whole number to the tolerance.

    Example:

    >>> calculation.num_electrons = infer_electrons(  # doctest: +SKIP
    ...     calculation, (4, 4, 1)
    ... )
    """
    if calculation.fermi_level is None:
        raise ValueError(
            f"The calculation {calculation.name!r} has no Fermi level to fill "
            "the bands to; set `num_electrons`."
        )
    matrices = BlochMatrices.from_calculation(calculation)
    k_points, weights = k_grid_points(matrices, grid)
    count = count_electrons(
        solve_bands(matrices, k_points),
        calculation.fermi_level,
        weights,
        temperature,
        degeneracy=1 if matrices.spinful else 2,
    )
    if abs(count - round(count)) > tolerance:
        raise ValueError(
            f"Up to its Fermi level {calculation.fermi_level} eV the bands of "
            f"{calculation.name!r} hold {count:.3f} electrons, which is no "
            "whole number. Take the grid of the calculation, or set "
            "`num_electrons`."
        )
    return float(round(count))


def _fold_inversion(k_points):
    """One of each pair (k, -k), modulo reciprocal vectors, with weights."""
    steps = np.round(np.stack([k_points, -k_points]) * 2**20) % 2**20
    keys = [min(map(tuple, pair)) for pair in steps.transpose(1, 0, 2).tolist()]
    _, first, counts = np.unique(
        np.array(keys), axis=0, return_index=True, return_counts=True
    )
    return k_points[first], counts / len(k_points)
