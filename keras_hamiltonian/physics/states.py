"""Eigenstates of H(k) and S(k): all of a small cell, a few of a large one.

A part of the states of a large cell takes one sparse factorization of
`H - E S` and Lanczos steps with its inverse (shift-invert); where H(k) and
S(k) are real, as at Γ, all is real. Where the matrices have an
`overlap_threshold`, combinations of orbitals of smaller norm are left out, see
`damped_problem`; sparse solvers do so as long as these fit in memory, and warn
where they do not.
"""

import dataclasses

import numpy as np

from keras_hamiltonian.physics.solvers.dense import solve_dense
from keras_hamiltonian.physics.solvers.factorization import SOLVERS
from keras_hamiltonian.physics.solvers.slepc import slepc_states
from keras_hamiltonian.physics.solvers.slepc import slepc_window
from keras_hamiltonian.physics.solvers.sparse import ShiftedProblem
from keras_hamiltonian.physics.solvers.sparse import solve_window

# Below this many orbitals dense matrices are as fast.
SMALLEST_SPARSE = 500
# The solver on many machines.
SLEPC = "slepc"


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
        first: int. Number of states below the first one; `None` if the solver
            does not count them.
        solver: str. What solved for them, and why: `"dense: ..."`.
    """

    k_point: np.ndarray
    energies: np.ndarray
    coefficients: np.ndarray | None = None
    residual: float | None = None
    first: int | None = 0
    solver: str = "dense"

    def __repr__(self):
        place = ", ".join(f"{x:.4g}" for x in self.k_point)
        energies = "none"
        if len(self.energies):
            low, high = self.energies[[0, -1]]
            energies = f"{low:.3f} to {high:.3f} eV"
        return f"States({len(self.energies)} at k = ({place}), {energies})"


def lowest_states(matrices, k_point, num_states=None, coefficients=True):
    """The lowest states at one wave vector, or all, by dense matrices.

    Args:
        matrices: `BlochMatrices`.
        k_point: three floats, fractional.
        num_states: int. Defaults to all.
        coefficients: bool. Whether to return the coefficients.

    Returns:
        `States`.

    Raises:
        ValueError: if S(k) is not positive definite, or the matrices are too
            large for all states.
    """
    num_states = matrices.size if num_states is None else num_states
    _check_number(matrices, num_states)
    k_point = np.asarray(k_point, dtype=np.float64)
    solved = solve_dense(matrices, k_point, num_states, coefficients)
    reason = "dense: the lowest states, or all"
    return _part(k_point, solved, np.arange(num_states), 0, reason)


def nearest_states(
    matrices, k_point, energy, num_states, solver="auto", coefficients=True
):
    """The states nearest to an energy at one wave vector.

    Args:
        matrices: `BlochMatrices`.
        k_point: three floats, fractional.
        energy: float, in eV. Where it hits an eigenvalue of a part of the
            crystal, sparse solvers take up to 0.04 eV beside it.
        num_states: int.
        solver: str. `"dense"`, or a sparse one: `"multifrontal"`,
            `"superlu"`, `"pardiso"` (see `factorize`); or `"slepc"`, on many
            machines (see `slepc_states`). `"auto"` takes dense matrices for up
            to 500 orbitals or more than a quarter of the states, else the
            first of the sparse ones; `States.solver` says which and why.
        coefficients: bool. Whether to return the coefficients.

    Returns:
        `States`.

    Raises:
        ValueError: if S(k) is not positive definite, or the solver cannot find
            that many states.
    """
    _check_number(matrices, num_states)
    k_point = np.asarray(k_point, dtype=np.float64)
    solver, reason = _chosen_solver(matrices, solver, num_states)
    if solver == "dense":
        solved = solve_dense(matrices, k_point, coefficients=coefficients)
        order = np.argsort(np.abs(solved[0] - energy), kind="stable")
        chosen = np.sort(order[:num_states])
        return _part(k_point, solved, chosen, int(chosen[0]), reason)
    if num_states >= matrices.size - 1:
        raise ValueError(
            f"solver={solver!r} finds fewer than {matrices.size - 1} states; "
            'take solver="dense".'
        )
    if solver == SLEPC:
        solved = slepc_states(matrices, k_point, energy, num_states)
    else:
        problem = ShiftedProblem(matrices, k_point, energy, solver)
        solved = problem.nearest(num_states)
    return _sparse_states(k_point, solved, coefficients, reason)


def states_in_window(
    matrices, k_point, window, solver="auto", coefficients=True
):
    """All states between two energies at one wave vector.

    Args:
        matrices: `BlochMatrices`.
        k_point: three floats, fractional.
        window: two floats, in eV, ascending.
        solver: str. See `nearest_states`; sparse solvers take windows that
            hold up to a quarter of all states, `"slepc"` (see `slepc_window`)
            any.
        coefficients: bool. Whether to return the coefficients.

    Returns:
        `States`.

    Raises:
        ValueError: if S(k) is not positive definite, or the window holds too
            many states for the solver.

    Example:

    >>> from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
    >>> from keras_hamiltonian.physics.hamiltonian import BlochMatrices
    >>> levels = BlockMatrix.from_blocks(
    ...     [(0, 0, 0, 0, 0)], [np.diag([-1.0, 3.0, 4.0])]
    ... )
    >>> matrices = BlochMatrices(levels, None, [3])
    >>> lowest_states(matrices, [0, 0, 0], 2).energies
    array([-1.,  3.])
    >>> states = states_in_window(matrices, [0, 0, 0], (2, 5))
    >>> states.energies, states.first
    (array([3., 4.]), 1)
    """
    low, high = window
    if not low < high:
        raise ValueError(f"`window` goes from low to high. Received: {window}.")
    k_point = np.asarray(k_point, dtype=np.float64)
    solver, reason = _chosen_solver(matrices, solver)
    if solver == "dense":
        solved = solve_dense(matrices, k_point, coefficients=coefficients)
        first = int(np.searchsorted(solved[0], low))
        chosen = np.flatnonzero((low <= solved[0]) & (solved[0] <= high))
        return _part(k_point, solved, chosen, first, reason)
    if solver == SLEPC:
        solved = slepc_window(matrices, k_point, window)
    else:
        solved = solve_window(matrices, k_point, window, solver)
    return _sparse_states(k_point, solved, coefficients, reason)


def count_states(matrices, k_point, energy):
    """Number of states below an energy, without solving for them.

    It is the number of negative pivots of `H - E S` (Sylvester's law of
    inertia).

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
    return ShiftedProblem(matrices, k_point, energy).num_below


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
    return matrices.factorize(overlap).num_negative


def _check_number(matrices, num_states):
    if not 1 <= num_states <= matrices.size:
        raise ValueError(
            f"The number of states is 1 to {matrices.size}. Received: "
            f"{num_states}."
        )


def _chosen_solver(matrices, solver, num_states=0):
    """The solver for a part of the states, and why."""
    known = (*SOLVERS, SLEPC)
    if solver not in ("auto", "dense", *known):
        raise ValueError(
            f'`solver` is "auto", "dense" or one of {known}. Received: '
            f"{solver!r}."
        )
    if solver != "auto":
        return solver, f"{solver}: as asked for"
    if matrices.size <= SMALLEST_SPARSE:
        return "dense", (
            f"dense: {matrices.size} orbitals, up to {SMALLEST_SPARSE} it is "
            "as fast"
        )
    if num_states > matrices.size // 4:
        return "dense", (
            f"dense: {num_states} of {matrices.size} states, more than a "
            "quarter"
        )
    return SOLVERS[0], (
        f"{SOLVERS[0]}: {matrices.size} orbitals, more than {SMALLEST_SPARSE}, "
        "and a part of the states"
    )


def _part(k_point, solved, chosen, first, reason):
    """The states that were asked for, of all."""
    energies, found, residual = solved
    found = None if found is None else found[:, chosen]
    return States(k_point, energies[chosen], found, residual, first, reason)


def _sparse_states(k_point, solved, coefficients, reason):
    energies, found, residual, first = solved
    found = found if coefficients else None
    return States(k_point, energies, found, residual, first, reason)
