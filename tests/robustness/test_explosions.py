"""A training that explodes leaves no model with NaN, and says so."""

import json
import os

import keras
import numpy as np
import pytest
from small_training import TINY
from small_training import small_set

import keras_hamiltonian as kh
from keras_hamiltonian.training.run import train_cascade

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "torch",
    reason="tests/callbacks has the other backends",
)


class Poison(keras.callbacks.Callback):
    """One weight is NaN, once or whenever it can be."""

    def __init__(self, stage, is_once):
        super().__init__()
        self.stage = stage
        self.is_once = is_once

    def on_epoch_end(self, epoch, logs=None):
        if self.stage == "second" and (epoch == 1 or not self.is_once):
            weight = self.model.trainable_weights[0]
            weight.assign(keras.ops.full(weight.shape, np.nan))


@pytest.fixture
def store(tmp_path):
    return small_set(tmp_path / "set.h5")


def train(store, folder, is_once, **settings):
    settings = kh.training.TrainingSettings(**{**TINY, **settings})
    split = kh.data.Split(store.names[:2], store.names[2:], ())
    return train_cascade(
        store,
        split,
        settings,
        folder,
        "of this test",
        callbacks=lambda stage: [Poison(stage, is_once)],
    )


def learning_curve(folder):
    def refuse(word):
        pytest.fail(f"{word} in the learning curve")

    text = (folder / "learning_curve.json").read_text()
    return json.loads(text, parse_constant=refuse)


def test_a_planted_explosion_is_survived(store, tmp_path, caplog):
    trained = train(store, tmp_path / "run", is_once=True)
    assert "Epoch 2: the weights" in caplog.text
    model = kh.load_model(trained.file)
    for weight in model.get_weights():
        assert np.isfinite(weight).all()
    assert trained.steps == {"first": 6, "second": 6}
    curve = learning_curve(tmp_path / "run")
    assert len(curve["loss"]) == 6


def test_the_second_one_leaves_no_model(store, tmp_path):
    with pytest.raises(ValueError, match="exploded twice.*second.npz"):
        train(store, tmp_path / "run", is_once=False)
    learning_curve(tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.keras"))
    with np.load(tmp_path / "run" / "checkpoint" / "second.npz") as file:
        for name in file:
            assert np.isfinite(file[name]).all(), name


def test_far_too_large_a_learning_rate(store, folder, command, caplog):
    settings = kh.training.TrainingSettings(
        **TINY, first_learning_rate=1e6
    ).model_dump_json(exclude_none=True, exclude={"seconds"})
    (folder / "settings.yaml").write_text(settings)
    found = command(
        "train", store.path, "--settings", "settings.yaml", "-o", "run", code=1
    )
    assert caplog.text.count("Goes on with the weights") == 1
    assert "Error: The training has exploded twice" in found.output
    assert not list((folder / "run").glob("*.keras"))
