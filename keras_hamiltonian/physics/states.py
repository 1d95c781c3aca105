"""Eigenstates of H(k) and S(k): all of a small cell, a few of a large one."""

import dataclasses
import warnings

import numpy as np
import scipy.linalg

from keras_hamiltonian.physics.damped_problem import damped_problem
from keras_hamiltonian.physics.damped_problem import inverse_roots
from keras_hamiltonian.physics.factorization import SOLVERS
from keras_hamiltonian.physics.factorization import factorize
from keras_hamiltonian.physics.shift_invert import NotPositive
from keras_hamiltonian.physics.shift_invert import nearest_vectors

# Below this many orbitals dense matrices are as fast.
SMALLEST_SPARSE = 500
# Where the energy meets an eigenvalue of a part of the crystal, one of these
# steps (eV) beside it does not.
SIDE_STEPS = (0.0, 1.1e-3, -3.7e-3, 1.3e-2, -4.1e-2)
# Relative errors of a solution: with a larger one it is refined once, or not
# taken at all.
REFINED_ERROR = 1e-6
LARGEST_ERROR = 1e-3
# The first number of states that is tried for a window of energies.
FIRST_NUMBER = 20
# A state is none if H x and E S x differ by more than this, in eV.
LARGEST_RESIDUAL = 1e-4


@dataclasses.dataclass
class States:
    """Eigenstates at one wave vector.

    Attributes:
        k_point: `(3,)` array, fractional.
        energies: `(num_states,)` array in eV, ascending.
        coefficients: `(num_orbitals, num_states)` array C with
            `C^† S(k) C = 1`, or `None` if not asked for.
        residual: float. The largest norm `|H c - E S c|` of a state, in eV;
            `None` where there are no coefficients.
        first: int. How many states lie below the first one; `None` if the
            solver does not count them.
    """

    k_point: np.ndarray
    energies: np.ndarray
    coefficients: np.ndarray | None = None
    residual: float | None = None
    first: int | None = 0


def solve_states(
    matrices,
    k_point,
    num_states=None,
    around=None,
    window=None,
    solver="auto",
    overlap_threshold=None,
    coefficients=True,
):
    """Solves `H(k) c = E S(k) c` at one wave vector.

    By default all states are found, by dense matrices. A part of the states
    of a large cell, those nearest to an energy or in a window, takes one
    sparse factorization of `H - E S` and Lanczos steps with its inverse
    (shift-invert); where H(k) and S(k) are real, as at Γ, all is real.

    Args:
        matrices: `BlochMatrices`.
        k_point: three floats, fractional.
        num_states: int. The lowest states, or with `around` the nearest.
        around: float. Energy in eV. Where it hits an eigenvalue of a part of
            the crystal, up to 0.04 eV beside it.
        window: two floats. All states between these energies, in eV.
        solver: str. `"dense"`, or a sparse one: `"multifrontal"`,
            `"superlu"`, `"pardiso"` (see `factorize`). `"auto"` takes dense
            matrices for up to 500 orbitals, else the first of the sparse ones.
        overlap_threshold: float. Canonical orthogonalization with a smooth
            edge: combinations of orbitals whose norm (eigenvalue of S(k)) is
            smaller are taken out of the problem; see `damped_problem`. Dense
            matrices only: sparse solvers warn that they keep all. Defaults to
            that of the matrices; 0 keeps all that have a norm.
        coefficients: bool. Whether to return the coefficients.

    Returns:
        `States`.

    Raises:
        ValueError: if S(k) is not positive definite, if the options clash, or
            if the matrices are too large for all states.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> levels = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 0)], [np.diag([-1.0, 3.0, 4.0])]
    ... )
    >>> states = solve_states(
    ...     BlochMatrices(levels, None, [3]), [0, 0, 0], window=(2, 5)
    ... )
    >>> states.energies, states.first
    (array([3., 4.]), 1)
    """
    k_point = np.asarray(k_point, dtype=np.float64)
    num_states = _check(
        matrices, num_states, around, window, solver, overlap_threshold
    )
    if overlap_threshold is None:
        overlap_threshold = matrices.overlap_threshold
    is_part = window is not None or around is not None
    if solver == "auto":
        few = num_states is None or num_states <= matrices.size // 4
        is_sparse = is_part and few and matrices.size > SMALLEST_SPARSE
        solver = "multifrontal" if is_sparse else "dense"
    if solver != "dense" and overlap_threshold is not None:
        warnings.warn(
            f"The {solver} solver keeps all combinations of orbitals; those of "
            f"norms below {overlap_threshold:g} can bring spurious levels "
            'of a predicted Hamiltonian. solver="dense" leaves them out.',
            stacklevel=2,
        )
    if solver == "dense":
        states = _solve_dense(
            matrices,
            k_point,
            num_states,
            is_part,
            overlap_threshold,
            coefficients,
        )
        states = _choose(states, num_states, around, window)
    elif window is not None:
        states = _solve_window(matrices, k_point, window, solver)
    else:
        factors = _factors(matrices, k_point, around, solver)
        states = _solve_near(*factors, k_point, num_states)
    if not coefficients:
        states.coefficients = None
    return states


def count_states(matrices, k_point, energy):
    """How many states lie below an energy, without finding any of them.

    The signs of the pivots of `H - E S` tell (Sylvester's law of inertia).

    Args:
        matrices: `BlochMatrices`.
        k_point: three floats, fractional.
        energy: float, in eV. If it lies on an eigenvalue, or on one of a part
            of the crystal that is eliminated first, up to 0.04 eV beside it.

    Returns:
        int.

    Raises:
        ValueError: if `H - E S` is singular there.
    """
    return _factors(matrices, k_point, energy, "multifrontal")[2].num_negative


def check_overlap(matrices, k_point):
    """Whether S(k) is positive definite, for cells of any size.

    Args:
        matrices: `BlochMatrices`.
        k_point: three floats, fractional.

    Returns:
        int. Number of combinations of orbitals with a negative norm: 0 for an
        overlap that can be used.
    """
    overlap = matrices.overlap_at(k_point)
    return factorize(overlap, matrices.dissection).num_negative


def _check(matrices, num_states, around, window, solver, threshold):
    """The number of states, or `None` for a window."""
    if solver not in ("auto", "dense", *SOLVERS):
        raise ValueError(
            f'`solver` is "auto", "dense" or one of {SOLVERS}. Received: '
            f"{solver!r}."
        )
    if window is not None and (num_states, around) != (None, None):
        raise ValueError(
            "A `window` has all its states: give no `num_states` and no "
            "`around` with it."
        )
    if window is not None and not window[0] < window[1]:
        raise ValueError(f"`window` goes from low to high. Received: {window}.")
    if around is not None and num_states is None:
        raise ValueError(
            "`around` asks for a part of the states: give their number."
        )
    is_part = window is not None or around is not None
    if solver in SOLVERS and (not is_part or threshold):
        raise ValueError(
            f"solver={solver!r} finds states near an energy: give `around` "
            "and their number, or a `window`, and no `overlap_threshold`."
        )
    if window is not None:
        return None
    num_states = matrices.size if num_states is None else num_states
    if not 1 <= num_states <= matrices.size:
        raise ValueError(
            f"The number of states is 1 to {matrices.size}. Received: "
            f"{num_states}."
        )
    if solver in SOLVERS and num_states >= matrices.size - 1:
        raise ValueError(
            f"solver={solver!r} finds fewer than {matrices.size - 1} states; "
            'take solver="dense".'
        )
    return num_states


def _solve_dense(matrices, k_point, num_states, is_part, threshold, vectors):
    hamiltonian, overlap = matrices.dense_at(k_point)
    lowest = None
    if threshold is None:
        if not is_part and num_states < len(overlap):
            lowest = (0, num_states - 1)
        solved = _eigh(hamiltonian, overlap, k_point, lowest, vectors)
        energies, found = solved if vectors else (solved, None)
    else:
        damped, norms, combinations = damped_problem(
            hamiltonian, overlap, threshold
        )
        if vectors:
            energies, inside = np.linalg.eigh(damped)
            found = (combinations * inverse_roots(norms)) @ inside
        else:
            energies, found = np.linalg.eigvalsh(damped), None
    residual = None
    if vectors:
        if threshold is None:
            error = hamiltonian @ found - overlap @ found * energies
        else:
            error = damped @ inside - inside * energies
        residual = float(np.linalg.norm(error, axis=0).max())
    return States(k_point, energies, found, residual)


def _eigh(hamiltonian, overlap, k_point, lowest, vectors):
    try:
        return scipy.linalg.eigh(
            hamiltonian,
            overlap,
            eigvals_only=not vectors,
            subset_by_index=lowest,
            check_finite=False,
        )
    except np.linalg.LinAlgError as error:
        if not np.isfinite(hamiltonian).all():
            raise ValueError(
                f"H(k) at k = {np.round(k_point, 4).tolist()} has numbers that "
                "are not finite. If it was predicted, the training failed."
            ) from error
        smallest = np.linalg.eigvalsh(overlap)[0]
        raise ValueError(
            f"S(k) at k = {np.round(k_point, 4).tolist()} is not positive "
            f"definite: its smallest eigenvalue is {smallest:.3e}. Either the "
            "overlap does not belong to this structure or lacks pairs, or the "
            "orbitals are nearly dependent; then leave out the dependent "
            "combinations with `overlap_threshold=1e-5`."
        ) from error


def _choose(states, num_states, around, window):
    """The states that were asked for, of all."""
    energies = states.energies
    if window is not None:
        chosen = (window[0] <= energies) & (energies <= window[1])
        chosen = np.flatnonzero(chosen)
        first = int(np.searchsorted(energies, window[0]))
    elif around is not None:
        order = np.argsort(np.abs(energies - around), kind="stable")
        chosen = np.sort(order[:num_states])
        first = int(chosen[0]) if len(chosen) else 0
    else:
        chosen, first = np.arange(len(energies))[:num_states], 0
    found = states.coefficients
    found = None if found is None else found[:, chosen]
    return States(
        states.k_point, energies[chosen], found, states.residual, first
    )


def _factors(matrices, k_point, energy, solver):
    """H, S, the inverse of H - E S, and E, which may be a little beside."""
    hamiltonian = matrices.hamiltonian_at(k_point)
    overlap = matrices.overlap_at(k_point)
    for step in SIDE_STEPS:
        shifted = hamiltonian - (energy + step) * overlap
        try:
            inverse = _Inverse(shifted, matrices.dissection, solver)
        except ValueError:
            if step == SIDE_STEPS[-1] or solver == "pardiso":
                raise
            continue
        return hamiltonian, overlap, inverse, energy + step


class _Inverse:
    """Factors whose accuracy has been measured."""

    def __init__(self, matrix, dissection, solver):
        self._matrix = matrix
        self._factors = factorize(matrix, dissection, solver)
        self.num_negative = self._factors.num_negative
        self.dtype = matrix.dtype
        right = np.random.default_rng(1).normal(size=matrix.shape[0])
        right = right.astype(matrix.dtype)
        error = matrix @ self._factors.solve(right) - right
        error = np.linalg.norm(error) / np.linalg.norm(right)
        self._is_refined = error > REFINED_ERROR
        if not error < LARGEST_ERROR:
            raise ValueError(
                "H - E S is nearly singular, or that of a part of the crystal "
                f"is: solutions have an error of {error:.0e}. Move E by 0.01 "
                'eV, or take solver="superlu".'
            )

    def __call__(self, right):
        x = self._factors.solve(right)
        if self._is_refined:
            x += self._factors.solve(right - self._matrix @ x)
        return x


def _solve_near(hamiltonian, overlap, inverse, energy, k_point, num_states):
    try:
        found = nearest_vectors(inverse, overlap, num_states)
    except ValueError as error:
        if not isinstance(error, NotPositive):
            raise ValueError(
                f"{error} Ask for more states, or for a window elsewhere: many "
                "states may share a level at the edge."
            ) from error
        raise ValueError(_no_states(k_point, str(error))) from error
    energies, rotation = np.linalg.eigh(found.conj().T @ (hamiltonian @ found))
    found = found @ rotation
    error = hamiltonian @ found - overlap @ found * energies
    residual = float(np.linalg.norm(error, axis=0).max())
    if not residual < LARGEST_RESIDUAL:
        raise ValueError(
            _no_states(k_point, f"|H c - E S c| reaches {residual:.1e} eV")
        )
    first = inverse.num_negative
    if first is not None:
        first -= int((energies < energy).sum())
    return States(k_point, energies, found, residual, first)


def _no_states(k_point, reason):
    return (
        f"The states at k = {np.round(k_point, 4).tolist()} were not found: "
        f"{reason}. Most likely S(k) is not positive definite, because the "
        "overlap does not belong to this structure or lacks pairs, or because "
        "orbitals are nearly dependent. `check_overlap(matrices, k_point)` "
        "tells; up to 8000 orbitals "
        '`solver="dense", overlap_threshold=1e-5` leaves the dependent '
        "combinations out. For larger cells repair the overlap, or take "
        "orbitals that reach less far."
    )


def _solve_window(matrices, k_point, window, solver):
    """One factorization in the middle; more states until it is covered."""
    low, high = window
    factors = _factors(matrices, k_point, (low + high) / 2, solver)
    half = (high - low) / 2
    largest = max(1, matrices.size // 4)
    num_states = min(FIRST_NUMBER, largest)
    while True:
        states = _solve_near(*factors, k_point, num_states)
        if np.abs(states.energies - factors[3]).max() > half + abs(
            factors[3] - (low + high) / 2
        ):
            break
        if num_states == largest:
            raise ValueError(
                f"The window {window} eV holds more than a quarter of the "
                f'{matrices.size} states; take solver="dense" or a narrower '
                "window."
            )
        num_states = min(2 * num_states, largest)
    inside = (low <= states.energies) & (states.energies <= high)
    first = states.first
    if first is not None:
        first += int((states.energies < low).sum())
    return States(
        k_point,
        states.energies[inside],
        states.coefficients[:, inside],
        states.residual,
        first,
    )
