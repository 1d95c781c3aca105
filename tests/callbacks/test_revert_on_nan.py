"""A training that explodes goes back once, then stops; on every backend."""

import keras
import numpy as np
import pytest
from small_model import X
from small_model import Y
from small_model import small_model

from keras_hamiltonian.callbacks import CosineBudget
from keras_hamiltonian.callbacks import LearningCurve
from keras_hamiltonian.callbacks import RevertOnNaN
from keras_hamiltonian.callbacks import TrainingCheckpoint

STEPS = 30


class Poison(keras.callbacks.Callback):
    """Makes the weight NaN at the end of some epochs."""

    def __init__(self, *epochs, value=np.nan):
        super().__init__()
        self.epochs = epochs
        self.value = value

    def on_epoch_end(self, epoch, logs=None):
        if epoch in self.epochs:
            weight = self.model.trainable_weights[0]
            weight.assign(keras.ops.full(weight.shape, self.value))


class Stop(keras.callbacks.Callback):
    """Ends before an epoch, as Ctrl+C does."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def fit(path, before=(), after=(), peak=0.1, data=(X, Y)):
    """Two steps an epoch, a checkpoint every third."""
    model = small_model(peak)
    budget, curve = CosineBudget(peak, steps=STEPS), LearningCurve()
    checkpoint = TrainingCheckpoint(path, [budget, curve], every=3)
    revert = RevertOnNaN(checkpoint, budget)
    model.fit(
        *data,
        batch_size=4,
        epochs=10**6,
        initial_epoch=checkpoint.epoch,
        shuffle=False,
        verbose=0,
        callbacks=[budget, curve, *before, revert, *after, checkpoint],
    )
    return model, budget, curve, revert


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["before", "after"])
def test_one_explosion(place, value, tmp_path, caplog):
    """Seen by the weights, or by the loss of the next step."""
    poison = {place: [Poison(6, value=value)]}
    model, budget, curve, revert = fit(tmp_path / "c.npz", **poison)
    weight = model.get_weights()[0]
    assert np.isfinite(weight).all() and weight < 0.95
    assert revert.has_reverted and budget.step == STEPS
    assert budget.peak == pytest.approx(0.03)
    (said,) = caplog.messages
    epoch = 7 if place == "before" else 8
    assert said.startswith(f"Epoch {epoch}: the ")
    assert "weights after epoch 6 and 0.3 of the learning rate" in said
    # The epoch of the explosion may have no loss; all others have one.
    assert np.isfinite(np.delete(curve.history["loss"], epoch - 1)).all()


def test_none_changes_nothing(tmp_path):
    model, _, curve, revert = fit(tmp_path / "c.npz")
    other = small_model()
    budget, expected = CosineBudget(0.1, steps=STEPS), LearningCurve()
    other.fit(
        X,
        Y,
        batch_size=4,
        epochs=10**6,
        shuffle=False,
        verbose=0,
        callbacks=[budget, expected],
    )
    assert not revert.has_reverted
    assert model.get_weights() == other.get_weights()
    assert curve.history["loss"] == expected.history["loss"]


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_second_explosion_ends_the_training(place, tmp_path):
    path = tmp_path / "c.npz"
    poison = {place: [Poison(6, 10)]}
    with pytest.raises(ValueError, match="exploded twice.*smaller learning"):
        fit(path, **poison)
    with np.load(path) as file:
        assert file["model.0"].shape == (1, 1)
        for name in file:
            assert np.isfinite(file[name]).all(), name
    with pytest.raises(ValueError, match="exploded twice"):
        fit(path, before=[Poison(10)])  # it remembers the first one


def test_an_explosion_at_once(tmp_path):
    """The checkpoint of the beginning has the weights to go back to."""
    data = X, np.full_like(Y, np.nan)
    with pytest.raises(ValueError, match="twice.*weights after epoch 0"):
        fit(tmp_path / "c.npz", data=data)
    with np.load(tmp_path / "c.npz") as file:
        assert file["model.0"] == 1.0


def test_interrupted_after_the_explosion(tmp_path):
    """It ends in the same weights, at the smaller learning rate."""
    expected, *_ = fit(tmp_path / "whole.npz", before=[Poison(4)])
    path = tmp_path / "c.npz"
    with pytest.raises(KeyboardInterrupt):
        fit(path, before=[Poison(4), Stop(9)])
    found, budget, _, revert = fit(path)
    assert revert.has_reverted and budget.peak == pytest.approx(0.03)
    assert found.get_weights() == expected.get_weights()
