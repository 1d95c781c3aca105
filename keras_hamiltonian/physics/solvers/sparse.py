"""The states near an energy, from one sparse factorization of H - E S."""

import numpy as np
import scipy.sparse

from keras_hamiltonian.memory import MemoryLimit
from keras_hamiltonian.physics.solvers.shift_invert import NotPositive
from keras_hamiltonian.physics.solvers.shift_invert import nearest_vectors
from keras_hamiltonian.physics.solvers.shift_invert import rayleigh_ritz
from keras_hamiltonian.physics.solvers.small_norms import DampedHamiltonian
from keras_hamiltonian.physics.solvers.small_norms import damped_hamiltonian

# Where the energy meets an eigenvalue of a part of the crystal, one of these
# steps (eV) beside it does not.
SIDE_STEPS = (0.0, 1.1e-3, -3.7e-3, 1.3e-2, -4.1e-2)
# Relative errors of a solution, above which it is refined once, or refused.
REFINED_ERROR = 1e-6
LARGEST_ERROR = 1e-3
# The first number of states that is tried for a window of energies.
FIRST_NUMBER = 20
# Largest norm of H x - E S x of a state, in eV.
LARGEST_RESIDUAL = 1e-4


class ShiftedProblem:
    """`H(k) c = E S(k) c` near an energy, with the inverse of H - E S.

    Without what `overlap_threshold` leaves out, as `solve_dense`.

    Args:
        matrices: `BlochMatrices`.
        k_point: `(3,)` array, fractional.
        energy: float, in eV. Where it hits an eigenvalue of a part of the
            crystal, up to 0.04 eV beside it.
        solver: str. See `factorize`.

    Attributes:
        energy: float, in eV. Where the matrix was factorized.
        num_below: int. States below that energy; `None` if the solver does
            not count them.

    Raises:
        ValueError: if H - E S is singular at all these energies.
    """

    def __init__(self, matrices, k_point, energy, solver="multifrontal"):
        self.k_point = k_point
        hamiltonian = matrices.hamiltonian_at(k_point)
        self.overlap = matrices.overlap_at(k_point)
        self.hamiltonian = damped_hamiltonian(
            matrices, k_point, hamiltonian, self.overlap
        )
        for step in SIDE_STEPS:
            self.energy = energy + step
            shifted = _shifted(hamiltonian, self.overlap, self.energy)
            try:
                self._inverse = _Inverse(
                    shifted, matrices.factorize(shifted, solver)
                )
                break
            except MemoryLimit:
                raise
            except ValueError:
                if step == SIDE_STEPS[-1] or solver == "pardiso":
                    raise
        if isinstance(self.hamiltonian, DampedHamiltonian):
            self._inverse = self.hamiltonian.inverse(self._inverse, self.energy)
        self.num_below = self._inverse.num_negative

    def nearest(self, num_states):
        """The states nearest to the energy.

        Args:
            num_states: int.

        Returns:
            `(num_states,)` energies in eV, `(num_orbitals, num_states)`
            coefficients, the largest norm `|H c - E S c|` in eV, and the
            number of states below the first one or `None`.

        Raises:
            ValueError: if S(k) is not positive definite, or the states do not
                converge.
        """
        try:
            found = nearest_vectors(self._inverse, self.overlap, num_states)
        except NotPositive as error:
            raise ValueError(self._no_states(str(error))) from error
        except ValueError as error:
            raise ValueError(
                f"{error} Ask for more states, or for a window elsewhere: many "
                "states may share a level at the edge."
            ) from error
        energies, found, residual = rayleigh_ritz(
            self.hamiltonian, self.overlap, found
        )
        if not residual < LARGEST_RESIDUAL:
            raise ValueError(
                self._no_states(f"|H c - E S c| reaches {residual:.1e} eV")
            )
        first = self.num_below
        if first is not None:
            first -= int((energies < self.energy).sum())
        return energies, found, residual, first

    def _no_states(self, reason):
        return (
            f"The states at k = {np.round(self.k_point, 4).tolist()} were not "
            f"found: {reason}. Most likely S(k) is not positive definite, "
            "because the overlap does not belong to this structure or lacks "
            "pairs, or because orbitals are nearly dependent. "
            "`check_overlap(matrices, k_point)` checks it. Up to 8000 orbitals "
            '`matrices.overlap_threshold = 1e-5` with `solver="dense"` leaves '
            "such combinations out. For larger cells repair the "
            "overlap, or take orbitals that reach less far."
        )


def _shifted(hamiltonian, overlap, energy):
    """H - E S, in one array of numbers where both have one pattern."""
    is_same = all(
        np.array_equal(getattr(hamiltonian, x), getattr(overlap, x))
        for x in ("indptr", "indices")
    )
    if not is_same:
        return hamiltonian - energy * overlap
    dtype = np.result_type(hamiltonian.dtype, overlap.dtype)
    values = np.multiply(overlap.data, -energy, dtype=dtype)
    values += hamiltonian.data
    return scipy.sparse.csr_matrix(
        (values, overlap.indices, overlap.indptr), shape=overlap.shape
    )


class _Inverse:
    """Factors whose accuracy has been measured."""

    def __init__(self, matrix, factors):
        self._matrix = matrix
        self._factors = factors
        self.num_negative = factors.num_negative
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


def solve_window(matrices, k_point, window, solver):
    """All states in a window of energies.

    One factorization in the middle; more states until it is covered.

    Args:
        matrices: `BlochMatrices`.
        k_point: `(3,)` array, fractional.
        window: two floats, in eV.
        solver: str. See `factorize`.

    Returns:
        Like `ShiftedProblem.nearest`.

    Raises:
        ValueError: like `ShiftedProblem.nearest`, or if the window holds more
            than a quarter of all states.
    """
    low, high = window
    middle = (low + high) / 2
    problem = ShiftedProblem(matrices, k_point, middle, solver)
    reach = (high - low) / 2 + abs(problem.energy - middle)
    largest = max(1, matrices.size // 4)
    num_states = min(FIRST_NUMBER, largest)
    while True:
        energies, found, residual, first = problem.nearest(num_states)
        if np.abs(energies - problem.energy).max() > reach:
            break
        if num_states == largest:
            raise ValueError(
                f"The window {window} eV holds more than a quarter of the "
                f'{matrices.size} states; take solver="dense" or a narrower '
                "window."
            )
        num_states = min(2 * num_states, largest)
    inside = (low <= energies) & (energies <= high)
    if first is not None:
        first += int((energies < low).sum())
    return energies[inside], found[:, inside], residual, first
