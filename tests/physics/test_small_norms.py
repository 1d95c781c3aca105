"""Combinations of orbitals of small norm: sparse solvers against dense ones."""

import pathlib

import numpy as np
import pytest
import scipy.sparse

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.kernel_polynomial import KernelPolynomial
from keras_hamiltonian.physics.solvers import small_norms
from keras_hamiltonian.physics.states import count_states
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.physics.states import nearest_states

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
GAMMA = np.zeros(3)
GENERAL = np.array([0.17, -0.31, 0.0])
THRESHOLD = 0.01
NUMBER = 14


@pytest.fixture(scope="module")
def calculation():
    return HamiltonianStore(DATA / "bilayer_graphene.h5")[0]


@pytest.fixture
def matrices(calculation):
    """With errors of 5 meV; the norms go down to 0.0014."""
    matrix = calculation.hamiltonian
    noise = np.random.default_rng(3).normal(size=matrix.entries.shape)
    entries = matrix.entries + 5e-3 * noise
    changed = BlockMatrix(matrix.atom_pairs, matrix.shapes, entries)
    return BlochMatrices(
        changed.symmetrized(),
        calculation.overlap,
        calculation.num_orbitals,
        THRESHOLD,
    )


@pytest.mark.parametrize("is_iterated", [False, True])
@pytest.mark.parametrize("solver", ["multifrontal", "superlu"])
@pytest.mark.parametrize("k_point", [GAMMA, GENERAL], ids=["real", "complex"])
def test_sparse_states_are_those_of_dense_matrices(
    calculation, matrices, k_point, solver, is_iterated, monkeypatch
):
    if is_iterated:
        monkeypatch.setattr(small_norms, "LARGEST_DENSE", 0)
    level = calculation.fermi_level
    expected = nearest_states(matrices, k_point, level, NUMBER, "dense")
    found = nearest_states(matrices, k_point, level, NUMBER, solver)
    np.testing.assert_allclose(found.energies, expected.energies, atol=1e-4)
    assert found.residual < 1e-6
    product = matrices.overlap_at(k_point) @ found.coefficients
    norms = found.coefficients.conj().T @ product
    np.testing.assert_allclose(norms, np.eye(NUMBER), atol=1e-8)
    if solver == "multifrontal":
        assert found.first == expected.first
        below = count_states(matrices, k_point, level)
        energies = lowest_states(matrices, k_point).energies
        assert below == (energies < level).sum()
    # The threshold matters here.
    matrices.overlap_threshold = None
    whole = nearest_states(matrices, k_point, level, NUMBER, solver)
    assert np.abs(whole.energies - expected.energies).max() > 0.02


@pytest.mark.parametrize("solver", ["dense", "multifrontal"])
def test_a_planted_ghost_level(calculation, solver):
    """An error of 0.3 eV in the combination of the smallest norm, which moves
    its level from far above to 0.1 eV over the Fermi level."""
    level = calculation.fermi_level
    exact = BlochMatrices.from_calculation(calculation)
    hamiltonian, overlap = exact.hamiltonian_at(GAMMA), exact.overlap_at(GAMMA)
    norms, vectors = np.linalg.eigh(overlap.toarray())
    ghost = vectors[:, 0]
    shifted = (hamiltonian - (level + 0.1) * overlap).toarray()
    error = -1 / (ghost @ np.linalg.solve(shifted, ghost))
    assert abs(error) < 0.3
    planted = hamiltonian + error * np.outer(ghost, ghost)
    wrong = BlochMatrices.from_calculation(calculation)
    wrong.hamiltonian_at = lambda *_: scipy.sparse.csr_matrix(planted)

    def near(matrices, threshold):
        matrices.overlap_threshold = threshold
        states = nearest_states(matrices, GAMMA, level, NUMBER, solver)
        product = ghost @ (overlap @ states.coefficients)
        return states.energies, np.abs(product).max() / norms[0] ** 0.5

    (expected, before), (energies, share) = near(exact, None), near(wrong, None)
    assert before < 0.1
    assert share > 0.5
    assert np.abs(energies - expected).max() > 0.2
    energies, share = near(wrong, THRESHOLD)
    assert share < 0.1
    with_threshold, _ = near(exact, THRESHOLD)
    np.testing.assert_allclose(energies, with_threshold, atol=2e-3)
    np.testing.assert_allclose(energies, expected, atol=0.15)


def test_moments(matrices):
    """Of levels that the dense solver finds."""
    polynomial = KernelPolynomial(matrices, GENERAL)
    energies = lowest_states(matrices, GENERAL).energies
    x = (energies - polynomial.center) / polynomial.half_width
    expected = np.cos(np.arange(60)[:, None] * np.arccos(x)).sum(axis=1)
    found = polynomial.local_moments(np.arange(matrices.size), 60)
    np.testing.assert_allclose(found.sum(axis=0), expected, atol=5e-3)
    matrices.overlap_threshold = None
    whole = KernelPolynomial(matrices, GENERAL)
    assert abs(whole.half_width / polynomial.half_width - 1) > 0.1


def test_too_many_are_kept(matrices, monkeypatch):
    monkeypatch.setattr(small_norms, "LARGEST_BYTES", 1e4)
    with pytest.warns(UserWarning, match="too many to be left out"):
        found = nearest_states(matrices, GAMMA, -4.0, 4, "multifrontal")
    matrices.overlap_threshold = None
    whole = nearest_states(matrices, GAMMA, -4.0, 4, "multifrontal")
    np.testing.assert_allclose(found.energies, whole.energies, atol=1e-9)


def test_an_overlap_that_is_not_positive(matrices, monkeypatch):
    overlap = matrices.overlap_at(GAMMA) - 0.002 * scipy.sparse.identity(208)
    matrices.overlap_at = lambda *_: overlap.tocsr()
    for largest in (0, 2000):
        monkeypatch.setattr(small_norms, "LARGEST_DENSE", largest)
        with pytest.raises(ValueError, match="not positive definite"):
            nearest_states(matrices, GAMMA, -4.0, 4, "multifrontal")
