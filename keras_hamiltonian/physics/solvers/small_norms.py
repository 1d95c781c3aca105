"""The eigenproblem without combinations of orbitals of small norm, sparse."""

import warnings

import numpy as np
import scipy.linalg
import scipy.sparse

from keras_hamiltonian.memory import check_room
from keras_hamiltonian.physics.solvers.damped_problem import EDGE
from keras_hamiltonian.physics.solvers.damped_problem import high_level

# Norms above this multiple of the threshold are kept whole: their weight
# differs from 1 by less than 2e-5.
REACH = 4.0
# Up to this many orbitals all norms are found by a dense matrix.
LARGEST_DENSE = 2000
# Vectors that are iterated beyond those wanted, and the change of a weight
# below which iterations end.
MORE_VECTORS, SMALLEST_EXTRA = 0.1, 10
LARGEST_CHANGE = 1e-6
LARGEST_STEPS = 20
# Of all the vectors that are kept.
LARGEST_BYTES = 6e9


class DampedHamiltonian:
    """H(k) without combinations of orbitals of small norm, as an operator.

    `damped_problem` in the basis of the orbitals: with the combinations U of
    norms s and `W = 1 - U D U^†`, `D = 1 - √w`, it is
    `W H W + E_high S (1 - W²)`, which differs from H by a matrix of twice as
    many columns as there are small norms:
    `Y M Y^†` with `Y = [U √D, H U √D]`.

    Args:
        hamiltonian: sparse `(n, n)` matrix in eV.
        overlap: sparse `(n, n)` matrix.
        norms: `(m,)` array, positive.
        combinations: `(n, m)` array. Eigenvectors of S.
        threshold: float.
    """

    def __init__(self, hamiltonian, overlap, norms, combinations, threshold):
        self._hamiltonian = hamiltonian
        self._norms = norms
        self.dtype = hamiltonian.dtype
        damping = 1 - 1 / np.sqrt(1 + (threshold / norms) ** EDGE)
        high = high_level(hamiltonian, overlap)
        first = combinations * np.sqrt(damping)
        self._columns = np.concatenate([first, hamiltonian @ first], axis=1)
        corner = _adjoint(first) @ self._columns[:, len(norms) :]
        self._corner = (corner + _adjoint(corner)) / 2
        self._corner += np.diag(high * norms * (2 - damping))

    def __matmul__(self, vectors):
        m = len(self._norms)
        first, second = np.split(_adjoint(self._columns) @ vectors, [m])
        inside = np.concatenate([self._corner @ first - second, -first])
        return self._hamiltonian @ vectors + self._columns @ inside

    def inverse(self, inverse, energy):
        """`(H - E S)^-1` of this H from that of the whole one."""
        return _DampedInverse(
            inverse, energy, self._columns, self._corner, self._norms
        )


class _DampedInverse:
    """The inverse of `K + Y M Y^†` from that of K (Woodbury's identity).

    Its negative eigenvalues are those of K, and the positive ones of
    `T = M^-1 + Y^† K^-1 Y` less those of M, which has as many as there are
    small norms (Haynsworth's inertia additivity).
    """

    def __init__(self, inverse, energy, columns, corner, norms):
        m = len(norms)
        self._inverse = inverse
        self._columns = columns
        self.dtype = np.result_type(inverse.dtype, columns.dtype)
        first = inverse(np.ascontiguousarray(columns[:, :m]))
        # H U = (H - E S) U + E U s
        second = columns[:, :m] + energy * first * norms
        self._solved = np.concatenate([first, second], axis=1)
        inside = _adjoint(columns) @ self._solved
        one = np.eye(m)
        inside += np.block([[0 * one, -one], [-one, -corner]])
        inside = (inside + _adjoint(inside)) / 2
        values, vectors = np.linalg.eigh(inside)
        self._inside = (vectors / values) @ _adjoint(vectors)
        self.num_negative = inverse.num_negative
        if self.num_negative is not None:
            self.num_negative += int((values > 0).sum()) - m

    def __call__(self, right):
        x = self._inverse(right)
        inside = self._inside @ (_adjoint(self._columns) @ x)
        return x - self._solved @ inside


def damped_hamiltonian(matrices, k_point, hamiltonian, overlap):
    """H(k), or what `overlap_threshold` makes of it.

    Args:
        matrices: `BlochMatrices`.
        k_point: `(3,)` array, fractional. For messages.
        hamiltonian: sparse `(n, n)` matrix H(k).
        overlap: sparse `(n, n)` matrix S(k).

    Returns:
        The Hamiltonian itself where nothing is left out, else a
        `DampedHamiltonian`.

    Raises:
        ValueError: if S(k) is not positive definite.
        MemoryLimit: if there is no room for the combinations.
    """
    threshold = matrices.overlap_threshold
    if not threshold:
        return hamiltonian
    size, dtype = overlap.shape[0], hamiltonian.dtype
    identity = scipy.sparse.identity(size, format="csr")
    shifted = overlap - REACH * threshold * identity
    number = matrices.factorize(shifted).num_negative
    if number == 0:
        return hamiltonian
    needed = 4 * number * size * dtype.itemsize
    if needed > LARGEST_BYTES:
        warnings.warn(
            f"{number} combinations of the {size} orbitals have norms below "
            f"{REACH:g} times the overlap threshold of {threshold:g}: too many "
            "to be left out. All are kept, and a predicted Hamiltonian can "
            "have spurious levels.",
            stacklevel=4,
        )
        return hamiltonian
    if matrices.max_memory is not None:
        check_room(
            matrices.max_memory,
            needed,
            f"to leave {number} combinations of orbitals out (the overlap "
            "threshold)",
        )
    if size <= LARGEST_DENSE:
        norms, combinations = scipy.linalg.eigh(
            overlap.toarray(), subset_by_index=(0, number - 1)
        )
    else:
        norms, combinations = _smallest(
            overlap, matrices.factorize(overlap), number, threshold
        )
    if not norms[0] > 0:
        raise ValueError(
            f"S(k) at k = {np.round(k_point, 4).tolist()} is not positive "
            f"definite: its smallest eigenvalue is {norms[0]:.3e}."
        )
    return DampedHamiltonian(
        hamiltonian, overlap, norms, combinations, threshold
    )


def _smallest(overlap, factors, number, threshold):
    """The smallest eigenvalues of S and their vectors, by inverse iteration.

    Vectors near the last ones need not converge, for their weights are 1.
    """
    size = overlap.shape[0]
    if factors.num_negative:
        return np.array([-np.inf]), None
    width = number + max(SMALLEST_EXTRA, int(MORE_VECTORS * number))
    vectors = np.random.default_rng(0).normal(size=(size, min(width, size)))
    weights = 0.0
    for _ in range(LARGEST_STEPS):
        vectors, _ = np.linalg.qr(factors.solve(factors.solve(vectors)))
        projected = _adjoint(vectors) @ (overlap @ vectors)
        norms, rotation = np.linalg.eigh(projected)
        found = 1 / (1 + (threshold / norms) ** EDGE)
        change, weights = np.abs(found - weights).max(), found
        if change < LARGEST_CHANGE:
            break
    return norms[:number], vectors @ rotation[:, :number]


def _adjoint(array):
    return array.conj().T
