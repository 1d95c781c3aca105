import pathlib
import pickle

import numpy as np
import pytest
import scipy.sparse
from sheets import sheet

from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics import hamiltonian as hamiltonian_module
from keras_hamiltonian.physics.hamiltonian import BlochMatrices

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
SETS = ["reference_graphene", "reference_mos2", "reference_bismuthene"]
K_POINT = np.array([0.17, -0.31, 0.2])


def naive_sum(matrix, num_orbitals, k_point, copies):
    """The formula of the conventions, block by block."""
    factor = matrix.shapes[0, 0] // num_orbitals[matrix.atom_pairs[0, 3]]
    width = factor * copies * num_orbitals
    offsets = np.cumsum(width) - width
    total = np.zeros((width.sum(), width.sum()), dtype=complex)
    for pair, block in zip(matrix.atom_pairs, matrix.blocks()):
        block = np.kron(np.eye(copies), block)
        rows = slice(offsets[pair[3]], offsets[pair[3]] + len(block))
        columns = slice(offsets[pair[4]], offsets[pair[4]] + block.shape[1])
        phase = np.exp(2j * np.pi * k_point @ pair[:3])
        total[rows, columns] += phase * block
    return total


@pytest.mark.parametrize("name", SETS)
def test_bloch_sum_equals_the_formula(name):
    calculation = HamiltonianStore(DATA / f"{name}.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    orbitals = calculation.num_orbitals
    copies = 2 if calculation.is_spinful else 1
    for got, source, doubling in (
        (matrices.hamiltonian_at(K_POINT), calculation.hamiltonian, 1),
        (matrices.overlap_at(K_POINT), calculation.overlap, copies),
    ):
        assert scipy.sparse.isspmatrix_csr(got)
        expected = naive_sum(source, orbitals, K_POINT, doubling)
        np.testing.assert_allclose(got.toarray(), expected, atol=1e-12)


def test_cells_add_up_to_the_gamma_point():
    calculation = HamiltonianStore(DATA / "reference_bismuthene.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    for in_cell, at in (
        (matrices.hamiltonian_in_cell, matrices.hamiltonian_at),
        (matrices.overlap_in_cell, matrices.overlap_at),
    ):
        total = sum(in_cell(r) for r in matrices.translations)
        np.testing.assert_allclose(
            total.toarray(), at([0, 0, 0]).toarray(), atol=1e-12
        )
    assert matrices.hamiltonian_in_cell([99, 0, 0]).nnz == 0
    assert matrices.periodic.tolist() == [True, True, False]


def test_dense_matrices_are_exactly_hermitian():
    calculation = HamiltonianStore(DATA / "reference_graphene.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    for dense in matrices.dense_at(K_POINT):
        assert np.array_equal(dense, dense.conj().T)


def test_overlap_may_list_fewer_pairs():
    hamiltonian = BlockMatrix.from_blocks(
        [(0, 0, 0, 0, 0), (1, 0, 0, 0, 0), (-1, 0, 0, 0, 0)],
        [np.eye(2), np.eye(2), np.eye(2)],
    )
    overlap = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [np.eye(1)])
    matrices = BlochMatrices(hamiltonian, overlap, [1])
    assert matrices.spinful
    assert np.array_equal(matrices.overlap_at(K_POINT).toarray(), np.eye(2))
    orthogonal = BlochMatrices(hamiltonian, None, [1])
    assert np.array_equal(orthogonal.overlap_at(K_POINT).toarray(), np.eye(2))
    assert np.array_equal(
        orthogonal.overlap_in_cell([0, 0, 0]).toarray(), np.eye(2)
    )


def test_a_missing_partner_is_noticed():
    hamiltonian = BlockMatrix.from_blocks(
        [(0, 0, 0, 0, 0), (1, 0, 0, 0, 0)], [np.eye(1), np.eye(1)]
    )
    with pytest.raises(ValueError, match="not Hermitian"):
        BlochMatrices(hamiltonian, None, [1])


def test_wrong_shapes_are_named():
    hamiltonian = BlockMatrix.from_blocks(
        [(0, 0, 0, 0, 0), (0, 0, 0, 1, 1)], [np.eye(2), np.eye(3)]
    )
    with pytest.raises(ValueError, match=r"\(0, 0, 0, 1, 1\).*\(3, 3\)"):
        BlochMatrices(hamiltonian, None, [2, 2])


def test_a_calculation_without_overlap_is_refused():
    calculation = HamiltonianStore(DATA / "reference_graphene.h5")[0]
    calculation.overlap = None
    with pytest.raises(ValueError, match="no `overlap`"):
        BlochMatrices.from_calculation(calculation)


def test_a_wave_vector_has_three_components():
    hamiltonian = BlockMatrix.from_blocks([(0, 0, 0, 0, 0)], [np.eye(1)])
    with pytest.raises(ValueError, match="three fractional"):
        BlochMatrices(hamiltonian, None, [1]).hamiltonian_at([0.5, 0.5])


@pytest.mark.parametrize("name", SETS)
def test_real_where_k_equals_minus_k(name):
    calculation = HamiltonianStore(DATA / f"{name}.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    orbitals = calculation.num_orbitals
    for k_point in ([0, 0, 0], [0.5, 0, 0], [0.5, -1.5, 2]):
        hamiltonian = matrices.hamiltonian_at(k_point)
        assert np.iscomplexobj(hamiltonian) == matrices.spinful
        assert matrices.overlap_at(k_point).dtype == np.float64
        expected = naive_sum(
            calculation.hamiltonian, orbitals, np.array(k_point), 1
        )
        np.testing.assert_allclose(hamiltonian.toarray(), expected, atol=1e-12)
    assert np.iscomplexobj(matrices.overlap_at([0.5, 0.49, 0]))


def test_derivatives_are_those_of_differences():
    calculation = HamiltonianStore(DATA / "reference_bismuthene.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    step = 1e-4
    for at in (matrices.hamiltonian_at, matrices.overlap_at):
        for components in ((0,), (1, 0), (1, 1)):
            *inner, last = components
            move = step * np.eye(3)[last]
            higher, lower = at(K_POINT + move, inner), at(K_POINT - move, inner)
            expected = (higher - lower).toarray() / (2 * step)
            found = at(K_POINT, components).toarray()
            np.testing.assert_allclose(
                found, expected, atol=1e-5 * np.abs(expected).max()
            )


def test_dense_matrices_have_a_largest_size(monkeypatch):
    calculation = HamiltonianStore(DATA / "reference_graphene.h5")[0]
    matrices = BlochMatrices.from_calculation(calculation)
    monkeypatch.setattr(hamiltonian_module, "LARGEST_DENSE", 25)
    with pytest.raises(ValueError, match="26 orbitals are too many"):
        matrices.dense_at(K_POINT)


def test_matrices_share_a_pattern_that_cannot_be_changed():
    """Or one matrix would change all."""
    _, made = sheet(3, orbitals=2)
    for matrices in (made, pickle.loads(pickle.dumps(made))):
        hamiltonian = matrices.hamiltonian_at([0, 0, 0])
        overlap = matrices.overlap_at([0.1, 0.2, 0])
        for part in ("indices", "indptr"):
            found = getattr(hamiltonian, part)
            assert np.shares_memory(found, getattr(overlap, part))
        before = hamiltonian.toarray()
        changed = matrices.hamiltonian_at([0, 0, 0])
        changed.data[::2] = 0
        with pytest.raises(ValueError, match="read-only"):
            changed.eliminate_zeros()
        np.testing.assert_array_equal(
            matrices.hamiltonian_at([0, 0, 0]).toarray(), before
        )
        copy = changed.copy()
        copy.eliminate_zeros()
        assert copy.nnz < changed.nnz
