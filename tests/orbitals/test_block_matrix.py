import numpy as np
import pytest

from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

PAIRS = [(0, 0, 0, 0, 0), (1, 0, 0, 0, 1), (-1, 0, 0, 1, 0)]


@pytest.fixture
def blocks():
    random = np.random.default_rng(0)
    onsite = random.normal(size=(2, 2)) + 1j * random.normal(size=(2, 2))
    hopping = random.normal(size=(2, 3)) + 1j * random.normal(size=(2, 3))
    return [onsite + onsite.conj().T, hopping, hopping.conj().T]


def test_blocks_come_back(blocks):
    matrix = BlockMatrix.from_blocks(PAIRS, blocks)
    assert len(matrix) == 3
    for k, block in enumerate(blocks):
        np.testing.assert_array_equal(matrix.block(k), block)
        np.testing.assert_array_equal(matrix.find(PAIRS[k]), block)
    assert matrix.find((0, 0, 0, 1, 1)) is None
    np.testing.assert_array_equal(matrix.boundaries, [0, 4, 10, 16])
    again = BlockMatrix(matrix.atom_pairs, matrix.shapes, matrix.entries)
    assert again == matrix


def test_blocks_are_views(blocks):
    matrix = BlockMatrix.from_blocks(PAIRS, blocks)
    matrix.block(1)[0, 0] = 7
    assert matrix.entries[4] == 7


def test_partners_and_hermiticity(blocks):
    matrix = BlockMatrix.from_blocks(PAIRS, blocks)
    np.testing.assert_array_equal(matrix.reverse_positions(), [0, 2, 1])
    assert matrix.hermitian_error() == 0
    matrix.block(1)[0, 2] += 0.5j
    assert matrix.hermitian_error() == pytest.approx(0.5)
    fixed = matrix.symmetrized()
    assert fixed.hermitian_error() < 1e-15
    middle = (matrix.block(1) + matrix.block(2).conj().T) / 2
    np.testing.assert_allclose(fixed.block(1), middle)


def test_missing_partner(blocks):
    matrix = BlockMatrix.from_blocks(PAIRS, blocks).select([0, 1])
    np.testing.assert_array_equal(matrix.reverse_positions(), [0, -1])
    # The missing block counts as zero.
    assert matrix.hermitian_error() == pytest.approx(np.abs(blocks[1]).max())
    with pytest.raises(ValueError, match="1 of 2 pairs lack the partner"):
        matrix.symmetrized()


def test_select_by_position_and_by_mask(blocks):
    matrix = BlockMatrix.from_blocks(PAIRS, blocks)
    picked = matrix.select([2, 0])
    np.testing.assert_array_equal(picked.block(0), blocks[2])
    assert matrix.select(np.array([True, False, True])) == matrix.select([0, 2])


def test_empty_matrix():
    empty = BlockMatrix.from_blocks([], [])
    assert len(empty) == 0 and empty.hermitian_error() == 0
    assert empty == empty.symmetrized()


@pytest.mark.parametrize(
    "pairs, shapes, size, message",
    [
        (PAIRS[:2], [(2, 2)], 4, "each pair needs one"),
        (PAIRS[:1], [(2, 2)], 5, "need 4 entries"),
        (PAIRS[:1] * 2, [(1, 1)] * 2, 2, "listed twice"),
    ],
)
def test_parts_that_do_not_fit(pairs, shapes, size, message):
    with pytest.raises(ValueError, match=message):
        BlockMatrix(pairs, shapes, np.zeros(size))
