"""Weights and optimizer return to their best state, and only then."""

import math

import keras
import numpy as np
import pytest
from small_model import X
from small_model import Y
from small_model import small_model

from keras_hamiltonian.callbacks import RevertOnSpike


def weight(model):
    return float(model.get_weights()[0][0, 0])


def set_weight(model, value):
    model.set_weights([np.full((1, 1), value, "float32")])


def state(model):
    return [
        np.array(keras.ops.convert_to_numpy(v))
        for v in model.optimizer.variables
    ]


def run(losses, **arguments):
    """Weight after each epoch; the weight is the epoch's number."""
    model = small_model()
    model.train_on_batch(X, Y)
    callback = RevertOnSpike(verbose=0, **arguments)
    callback.set_model(model)
    callback.on_train_begin()
    found = []
    for epoch, loss in enumerate(losses):
        set_weight(model, epoch)
        logs = {} if loss is None else {"val_loss": loss}
        callback.on_epoch_end(epoch, logs)
        found.append(weight(model))
    return found, callback


def test_reverts_after_patience():
    found, callback = run([3.0, 1.0, 2.5, 2.6, 2.7, 1.5], patience=3)
    assert found == [0, 1, 2, 3, 1, 5]
    assert (callback.best, callback.num_reverts) == (1.0, 1)


def test_a_loss_in_between_starts_the_count_again():
    found, _ = run([1.0, 2.5, 1.9, 2.5, 2.5], patience=3)
    assert found == [0, 1, 2, 3, 4]


def test_epochs_without_validation_count():
    found, _ = run([1.0, None, 2.5, None, 2.5], patience=3)
    assert found == [0, 1, 2, 3, 0]


def test_no_number_is_a_spike():
    found, _ = run([1.0, math.nan], patience=1)
    assert found == [0, 0]


def test_moments_of_the_optimizer_return_too():
    model = small_model()
    model.fit(X, Y, epochs=1, verbose=0)
    callback = RevertOnSpike(patience=1, verbose=0)
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0, {"val_loss": 1.0})
    before = state(model)
    for variable in model.optimizer.variables[2:]:
        variable.assign(np.full(variable.shape, math.nan, "float32"))
    model.optimizer.learning_rate = 0.5
    callback.on_epoch_end(1, {"val_loss": math.nan})
    after = state(model)
    np.testing.assert_array_equal(before[2:], after[2:])
    rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
    assert float(rate) == 0.5


def test_factor_above_one():
    with pytest.raises(ValueError, match="above 1"):
        RevertOnSpike(factor=1.0)
