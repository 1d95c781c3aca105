"""A second `fit` resumes from the file of the first, on every backend."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.callbacks import CosineBudget
from keras_hamiltonian.callbacks import LearningCurve
from keras_hamiltonian.callbacks import RevertOnSpike
from keras_hamiltonian.callbacks import TrainingCheckpoint


class Batches(keras.utils.PyDataset):
    """Six numbers in an order that the epoch determines."""

    def __init__(self, shuffle=True):
        super().__init__()
        self.shuffle = shuffle
        self.set_state({"epoch": 0})

    def __len__(self):
        return 6

    def __getitem__(self, position):
        x = np.full((1, 3), 0.1 * self.order[position], "float32")
        return x, x[:, :1] ** 2

    def on_epoch_end(self):
        if self.shuffle:
            self.set_state({"epoch": self.epoch + 1})

    def get_state(self):
        return {"epoch": self.epoch}

    def set_state(self, state):
        self.epoch = state["epoch"]
        self.order = np.random.default_rng(self.epoch).permutation(6)


class Stop(keras.callbacks.Callback):
    """Ends in the middle of an epoch, as Ctrl+C does."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def new_model():
    keras.utils.clear_session()
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(
                4, kernel_initializer=keras.initializers.GlorotUniform(seed=1)
            ),
            keras.layers.Dropout(0.5, seed=3),
            keras.layers.Dense(
                1, kernel_initializer=keras.initializers.GlorotUniform(seed=2)
            ),
        ]
    )
    model.compile(
        keras.optimizers.AdamW(weight_decay=0.1), loss="mse", jit_compile=False
    )
    return model


def fit(path, *others, steps=40, with_data=True, model=None):
    model = model or new_model()
    training, curve = Batches(), LearningCurve()
    budget = CosineBudget(0.1, steps=steps, warmup_steps=3)
    revert = RevertOnSpike(factor=1.5, patience=3, verbose=0)
    members = [budget, curve, revert]
    checkpoint = TrainingCheckpoint(
        path, [training, *members] if with_data else members, every=2
    )
    try:
        model.fit(
            training,
            validation_data=Batches(shuffle=False),
            epochs=10**6,
            initial_epoch=checkpoint.epoch,
            shuffle=False,
            verbose=0,
            callbacks=[checkpoint, *members, *others],
        )
    except KeyboardInterrupt:
        pass
    return model, curve, checkpoint


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("checkpoint") / "whole.npz")


@pytest.mark.slow
def test_interrupted_twice(uninterrupted, tmp_path):
    path = tmp_path / "run" / "checkpoint.npz"
    fit(path, Stop(15))
    _, _, checkpoint = fit(path, Stop(20))
    assert not checkpoint.is_finished
    model, curve, checkpoint = fit(path)
    assert checkpoint.is_finished
    for found, expected in zip(
        model.get_weights(), uninterrupted[0].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    for key in ("loss", "val_loss", "learning_rate", "epoch"):
        assert curve.history[key] == uninterrupted[1].history[key]
    seconds = curve.history["cpu_seconds"]
    assert seconds == sorted(seconds)
    assert [f.name for f in path.parent.iterdir()] == ["checkpoint.npz"]


def test_without_the_order_of_the_data_it_goes_another_way(
    uninterrupted, tmp_path
):
    fit(tmp_path / "c.npz", Stop(15), with_data=False)
    _, curve, _ = fit(tmp_path / "c.npz", with_data=False)
    assert curve.history["loss"] != uninterrupted[1].history["loss"]


def test_a_finished_training_is_restored(uninterrupted):
    model = new_model()
    training, curve = Batches(), LearningCurve()
    checkpoint = TrainingCheckpoint(
        uninterrupted[2].path,
        [training, CosineBudget(0.1, steps=40), curve, RevertOnSpike()],
    )
    assert checkpoint.is_finished
    checkpoint.restore(model)
    for found, expected in zip(
        model.get_weights(), uninterrupted[0].get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    assert curve.history == uninterrupted[1].history


def test_seconds_are_counted_on():
    budget = CosineBudget(0.1, seconds=100.0)
    budget.set_state({"step": 7, "cpu_seconds": 40, "validation_seconds": 5})
    assert budget.spent == pytest.approx(0.45, abs=0.01)
    assert budget.get_state()["cpu_seconds"] == pytest.approx(40, abs=1)


def test_what_does_not_fit_is_refused(uninterrupted, tmp_path):
    path = uninterrupted[2].path
    with pytest.raises(ValueError, match="of another training"):
        TrainingCheckpoint(path, fingerprint="another")
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="does not fit this model"):
        TrainingCheckpoint(path).restore(other)
    same = keras.models.clone_model(uninterrupted[0])
    with pytest.raises(ValueError, match="keeps the states of 4.* 0 are given"):
        TrainingCheckpoint(path).restore(same)
