"""Block Lanczos steps where a single vector's fail."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

from keras_hamiltonian.physics.solvers.shift_invert import nearest_vectors


class Inverse:
    """`(H - E S)^-1` by dense matrices, counting what it solves."""

    def __init__(self, matrix):
        self.inverse = np.linalg.inv(matrix)
        self.dtype = matrix.dtype
        self.solved = 0

    def __call__(self, right):
        self.solved += right.shape[1]
        return self.inverse @ right


def problem(levels, is_complex, seed=0):
    """H and S with the given energies."""
    generator = np.random.default_rng(seed)
    size = len(levels)
    vectors = generator.normal(size=(size, size)) / size**0.5
    if is_complex:
        vectors = vectors + 1j * generator.normal(size=(size, size)) / size
    vectors = vectors + np.eye(size)
    return (vectors * levels) @ vectors.conj().T, vectors @ vectors.conj().T


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("sharing", [1, 12, 30])
def test_levels_that_many_states_share(is_complex, sharing):
    levels = np.repeat(np.arange(1.0, 1 + 600 // sharing), sharing)
    hamiltonian, overlap = problem(levels, is_complex)
    inverse = Inverse(hamiltonian - 2.2 * overlap)
    number = 2 * sharing
    found = nearest_vectors(inverse, scipy.sparse.csr_matrix(overlap), number)
    np.testing.assert_allclose(
        found.conj().T @ overlap @ found, np.eye(number), atol=1e-9
    )
    energies = np.linalg.eigvalsh(found.conj().T @ hamiltonian @ found)
    np.testing.assert_allclose(energies, np.repeat([2, 3], sharing), atol=1e-8)
    error = hamiltonian @ found - overlap @ found @ (
        found.conj().T @ hamiltonian @ found
    )
    assert np.abs(error).max() < 1e-6
    assert inverse.solved < 600 * (1 if sharing < 30 else 2)


def test_scipy_agrees():
    levels = np.random.default_rng(1).normal(size=300)
    hamiltonian, overlap = problem(levels, True)
    expected = scipy.linalg.eigh(hamiltonian, overlap, eigvals_only=True)
    np.testing.assert_allclose(expected, np.sort(levels), atol=1e-9)
    found = nearest_vectors(
        Inverse(hamiltonian), scipy.sparse.csr_matrix(overlap), 9
    )
    energies = np.linalg.eigvalsh(found.conj().T @ hamiltonian @ found)
    nearest = np.sort(expected[np.argsort(np.abs(expected))[:9]])
    np.testing.assert_allclose(energies, nearest, atol=1e-9)


def test_a_negative_norm_is_noticed():
    hamiltonian, overlap = problem(np.arange(1.0, 101), False)
    overlap = overlap - 1.5 * np.eye(100)
    with pytest.raises(ValueError, match="negative norm"):
        nearest_vectors(
            Inverse(hamiltonian), scipy.sparse.csr_matrix(overlap), 9
        )


def test_a_useless_inverse_does_not_converge():
    size = 2000
    generator = np.random.default_rng(1)

    def noise(right):
        return generator.normal(size=right.shape)

    noise.dtype = np.dtype(np.float64)
    with pytest.raises(ValueError, match="did not converge within 408"):
        nearest_vectors(noise, scipy.sparse.identity(size, format="csr"), 5)
