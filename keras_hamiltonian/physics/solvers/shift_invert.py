"""The states nearest to an energy, from the inverse of H - E S."""

import numpy as np

# Vectors that are multiplied at once. A solution for twelve costs about as
# much as two.
BLOCK = 12
# Relative error of the eigenvectors of the inverse, and the fewest steps of
# fresh random vectors in which nothing may be added.
TOLERANCE = 1e-9
NUM_CHECKS = 2
# Directions shorter than this after orthogonalization are noise.
DEPENDENT = 1e-6
# A norm this far below zero, relative to the largest, is no rounding.
NEGATIVE = 1e-8
# The basis may grow to this multiple of the number of states, or to a limit
# for few of them.
LARGEST_FACTOR, SMALLEST_LIMIT = 20, 400
# All starts together may take this multiple of it.
LARGEST_TOTAL = 4


class NotPositive(ValueError):
    """A vector had a negative norm, so S is not positive definite."""


def nearest_vectors(solve, overlap, num_states):
    """Eigenvectors of `(H - E S)^-1 S` with the largest eigenvalues.

    Block Lanczos steps with full orthogonalization in the inner product of S.
    They find levels that several states share, as in perfect supercells, which
    steps with a single vector miss; but if more states share a level than the
    block has vectors, they find a part of them. After convergence they
    therefore start again from random vectors orthogonal to those found, and
    the result is accepted if this adds nothing in as many steps as convergence
    took.

    Args:
        solve: function. `(H - E S)^-1` times an `(n, m)` array.
        overlap: sparse `(n, n)` matrix S.
        num_states: int. How many eigenvectors.

    Returns:
        `(n, num_states)` array with `X^† S X = 1`.

    Raises:
        ValueError: if S is not positive definite (`NotPositive`), or the
            vectors do not converge.
    """
    size, dtype = overlap.shape[0], np.result_type(overlap.dtype, solve.dtype)
    generator = np.random.default_rng(0)

    def random(number):
        return generator.normal(size=(size, number)).astype(dtype)

    limit = min(size, max(LARGEST_FACTOR * num_states, SMALLEST_LIMIT))
    basis = np.zeros((size, 0), dtype)
    dual = np.zeros((size, 0), dtype)
    projected = np.zeros((0, 0), dtype)
    block, known = random(min(BLOCK, size)), None
    steps = checks = needed = total = 0
    while True:
        steps += 1
        total += BLOCK
        block, product = _orthonormal(block, basis, dual, overlap)
        width = min(block.shape[1], size - basis.shape[1])
        basis = np.concatenate([basis, block[:, :width]], axis=1)
        dual = np.concatenate([dual, product[:, :width]], axis=1)
        block = solve(dual[:, -width:])
        columns = dual.conj().T @ block
        projected = _grown(projected, columns)
        values, vectors = np.linalg.eigh(projected)
        chosen = np.argsort(-np.abs(values), kind="stable")[:num_states]
        values, vectors = values[chosen], vectors[:, chosen]
        block = block - basis @ columns
        if basis.shape[1] == size:
            break
        if len(values) == num_states:
            rest = block @ vectors[-width:]
            errors = np.linalg.norm(rest, axis=0) / np.abs(values)
            if errors.max() < TOLERANCE * np.linalg.norm(basis[:, 0]):
                change = np.inf
                if known is not None:
                    change = np.abs(np.sort(values) / np.sort(known) - 1).max()
                if change < 1e-6:
                    checks += 1
                else:
                    checks, needed = 0, max(NUM_CHECKS, needed, steps)
                    basis, dual = basis @ vectors, dual @ vectors
                    projected = np.diag(values).astype(dtype)
                    block, steps = random(BLOCK), 0
                if checks and checks >= needed:
                    break
                known = values
        if basis.shape[1] >= limit or total >= LARGEST_TOTAL * limit:
            raise ValueError(
                f"{num_states} states did not converge within {total} vectors."
            )
    return basis @ vectors


def rayleigh_ritz(hamiltonian, overlap, vectors):
    """The states within a space.

    Args:
        hamiltonian: `(n, n)` matrix or operator H.
        overlap: `(n, n)` matrix S.
        vectors: `(n, m)` array X with `X^† S X = 1`, which spans the space.

    Returns:
        `(m,)` energies, ascending, `(n, m)` array of the states, and the
        largest norm of `H c - E S c`, a float.
    """
    projected = vectors.conj().T @ (hamiltonian @ vectors)
    energies, rotation = np.linalg.eigh(projected)
    vectors = vectors @ rotation
    error = hamiltonian @ vectors - overlap @ vectors * energies
    residual = np.linalg.norm(error, axis=0).max(initial=0.0)
    return energies, vectors, float(residual)


def _orthonormal(block, basis, dual, overlap):
    """A block Q orthonormal to the basis and in itself, or less of it; S Q."""
    lengths = np.linalg.norm(block, axis=0)
    block = block / np.where(lengths > 0, lengths, 1.0)
    block = block - basis @ (dual.conj().T @ block)
    product = overlap @ block
    for _ in range(3):
        shares = dual.conj().T @ block
        block = block - basis @ shares
        product = product - dual @ shares
        gram = block.conj().T @ product
        norms, vectors = np.linalg.eigh((gram + gram.conj().T) / 2)
        largest = max(float(norms[-1]), 0.0)
        if norms[0] < -NEGATIVE * largest or not largest > 0:
            raise NotPositive("a vector has a negative norm c^† S c")
        kept = norms > DEPENDENT**2 * largest
        vectors = vectors[:, kept] / np.sqrt(norms[kept])
        block, product = block @ vectors, product @ vectors
    return block, product


def _grown(matrix, columns):
    """A Hermitian matrix with new last columns, and their rows."""
    old, new = len(matrix), columns.shape[1]
    grown = np.zeros((old + new,) * 2, dtype=columns.dtype)
    grown[:old, :old] = matrix
    grown[:, old:] = columns
    grown[old:, :old] = columns[:old].conj().T
    corner = columns[old:]
    grown[old:, old:] = (corner + corner.conj().T) / 2
    return grown
