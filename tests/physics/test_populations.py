"""Where states live, by hand."""

import numpy as np
import pytest
from sheets import chain
from sheets import dimers
from sheets import graphene

from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.physics.hamiltonian import BlochMatrices
from keras_hamiltonian.physics.populations import mulliken_populations
from keras_hamiltonian.physics.populations import participation_ratios
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.physics.states import nearest_states

GAMMA = [0.0, 0.0, 0.0]


def with_impurity(depth, repeat=8):
    """Graphene with one atom whose orbital lies lower."""
    _, clean = graphene(repeat=repeat)
    size = clean.size
    cells = {tuple(r): clean.hamiltonian_in_cell(r) for r in clean.translations}
    pairs, blocks = [], []
    for cell, matrix in cells.items():
        matrix = matrix.tocoo()
        for i, j, value in zip(matrix.row, matrix.col, matrix.data):
            pairs.append((*cell, i, j))
            blocks.append(np.full((1, 1), value))
    pairs.append((0, 0, 0, 5, 5))
    blocks.append(np.full((1, 1), -depth))
    return BlochMatrices(
        BlockMatrix.from_blocks(pairs, blocks), None, np.ones(size, int)
    )


def test_an_impurity_against_an_extended_state():
    matrices = with_impurity(30.0)
    states = lowest_states(matrices, [0.17, 0.29, 0.0])
    ratios = participation_ratios(states, matrices)
    assert ratios[0] > 0.9
    # The rest is spread over the 128 atoms, in the manner of waves, but for
    # one: so deep an atom acts as a vacancy, which binds a state at zero.
    assert np.median(ratios) < 2 / matrices.size
    bound = 1 + ratios[1:].argmax()
    assert abs(states.energies[bound]) < 0.5
    assert ratios[0] > 5 * ratios[bound] > 10 * np.median(ratios)
    assert (ratios > 1 / matrices.size - 1e-12).all()
    _, clean = graphene(repeat=8)
    lowest = lowest_states(clean, GAMMA, 1)
    assert participation_ratios(lowest, clean)[0] == pytest.approx(1 / 128)


def test_end_states_decay_by_the_ratio_of_the_edges():
    """|c|² falls by (a / b)² per cell: IPR (1 - q) / (1 + q) / 2 for 2 ends."""
    matrices = dimers(-0.4, -1.3, num_cells=30)
    states = nearest_states(matrices, GAMMA, 1e-3, 2)
    q = (0.4 / 1.3) ** 2
    ratios = participation_ratios(states, matrices)
    one_end = (1 - q) / (1 + q)
    assert ((one_end / 2 - 1e-6 < ratios) & (ratios < one_end + 1e-6)).all()


def test_populations_with_overlap():
    """c = (1, 1) / √(2 + 2s): each atom has a half."""
    pairs = [(0, 0, 0, 0, 0), (0, 0, 0, 1, 1), (0, 0, 0, 0, 1), (0, 0, 0, 1, 0)]
    values = [[0, 0, -1, -1], [1, 1, 0.4, 0.4]]
    matrices = BlochMatrices(
        *(
            BlockMatrix.from_blocks(pairs, [np.full((1, 1), v) for v in row])
            for row in values
        ),
        [1, 1],
    )
    states = lowest_states(matrices, GAMMA)
    np.testing.assert_allclose(states.energies, [-1 / 1.4, 1 / 0.6])
    found = mulliken_populations(states, matrices, {"a": [0], "b": [1]})
    np.testing.assert_allclose(found["a"], 0.5)
    np.testing.assert_allclose(found["a"] + found["b"], 1.0)


def test_coefficients_are_needed():
    states = lowest_states(chain(-1.0), GAMMA, coefficients=False)
    with pytest.raises(ValueError, match="coefficients=True"):
        participation_ratios(states, chain(-1.0))
