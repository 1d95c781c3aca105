"""Trainings with the loss between eigenstates."""

import dataclasses
import os

import keras
import numpy as np
import pytest
from tiny_training import TINY

import keras_hamiltonian as kh
from keras_hamiltonian.cli.settings import read_settings
from keras_hamiltonian.cli.settings import template
from keras_hamiltonian.training import TrainingSettings
from keras_hamiltonian.training.run import train_cascade


class Stop(keras.callbacks.Callback):
    """Ends a training as Ctrl+C does."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def store(data_folder, tmp_path_factory):
    cell = kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    path = tmp_path_factory.mktemp("data") / "cells.h5"
    return kh.HamiltonianStore.write(
        path, [dataclasses.replace(cell, name=name) for name in "abc"]
    )


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "torch", reason="every fit is compiled"
)
def test_a_training_that_resumes_sees_the_same(store, tmp_path, caplog):
    split = kh.data.Split(("a", "b"), ("c",), ())

    def train(folder, k_loss, callbacks=()):
        settings = TrainingSettings(k_loss=k_loss, **TINY)
        mark = settings.model_dump_json()
        found = train_cascade(
            store, split, settings, tmp_path / folder, mark, "x", callbacks
        )
        return found.model.get_weights()

    k_loss = {"num_k_points": 4, "mesh": (5, 5, 1)}
    expected = train("whole", k_loss)
    assert "Solved the states of 2 structures" in caplog.text
    caplog.clear()
    states = store.path.with_suffix(".states")
    assert len(list(states.glob("*/*.h5"))) == 2
    for part in ("first", "second"):
        with pytest.raises(KeyboardInterrupt):
            train("stopped", k_loss, lambda p, at=part: [Stop()] * (p == at))
    found = train("stopped", k_loss)
    assert "Solved" not in caplog.text
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, y)
    others = [train("without", None), train("other", {**k_loss, "weight": 2})]
    for other in others:
        assert any((x != y).any() for x, y in zip(other, expected))


@pytest.mark.parametrize(
    "k_loss, words",
    [
        ({"wieght": 1}, "'wieght'. Did you mean 'weight'.*Allowed: diagonal"),
        ({"weight": 0}, "k_loss.weight.*greater than 0"),
        ({"mesh": (3, 3)}, "k_loss.mesh"),
        (3, "k_loss.*3"),
    ],
)
def test_what_is_wrong_is_named(k_loss, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        TrainingSettings(k_loss=k_loss)


def test_settings_of_the_command_line(tmp_path):
    found = read_settings(None, {}, ["k_loss={weight: 0.3, mesh: [3, 3, 1]}"])
    assert (found.k_loss.weight, found.k_loss.mesh) == (0.3, (3, 3, 1))
    path = tmp_path / "settings.yaml"
    path.write_text(template(found))
    assert TrainingSettings.read(path) == found
    assert read_settings(None, {}, ["k_loss={}"]).k_loss.window == 3
    assert TrainingSettings().k_loss is None


def test_defaults_are_those_of_the_classes(tmp_path):
    settings = TrainingSettings(k_loss={}).k_loss
    loss = kh.losses.KSpaceLoss()
    assert settings.loss_options() == loss.get_config()
    given = kh.models.StateFolder(tmp_path, **settings.state_options())
    assert given.path == kh.models.StateFolder(tmp_path).path
