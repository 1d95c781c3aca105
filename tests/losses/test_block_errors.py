"""Losses against sums written out, and against the errors of matrices."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.losses import BlockMeanAbsoluteError
from keras_hamiltonian.losses import BlockMeanSquaredError
from keras_hamiltonian.metrics.matrix import mean_absolute_error
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix


def number(x):
    return float(keras.ops.convert_to_numpy(x))


def test_weighted_sum_in_mev():
    true = np.array([[1.0, 2.0], [0.0, 0.0]], "float32")
    predicted = np.array([[1.5, 1.0], [7.0, 7.0]], "float32")
    weights = np.array([[0.5, 0.25], [0.0, 0.0]], "float32")
    absolute = BlockMeanAbsoluteError()(true, predicted, weights)
    squared = BlockMeanSquaredError()(true, predicted, weights)
    assert number(absolute) == pytest.approx(500.0)
    assert number(squared) == pytest.approx(0.375e6)


def test_losses_of_both_outputs_add_up_to_the_matrix_error(data_folder):
    store = HamiltonianStore(data_folder / "reference_mos2.h5")
    _, targets, weights = HamiltonianDataset(store)[0]
    calculation = store[0]
    h = calculation.hamiltonian
    loss = BlockMeanAbsoluteError()
    total = sum(
        number(loss(targets[k], np.zeros_like(targets[k]), weights[k]))
        for k in targets
    )
    zero = BlockMatrix(h.atom_pairs, h.shapes, np.zeros_like(h.entries))
    assert total == pytest.approx(1000 * mean_absolute_error(zero, h), rel=1e-5)


@pytest.mark.parametrize(
    "loss", [BlockMeanAbsoluteError(), BlockMeanSquaredError(name="other")]
)
def test_round_trip(loss):
    config = keras.losses.serialize(loss)
    again = keras.losses.deserialize(config)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    assert again.reduction == "sum"
