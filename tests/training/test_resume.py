"""Killed at any moment and started again, a training ends in the same bits."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from lives import train

import keras_hamiltonian as kh
from keras_hamiltonian.training import preparation

LIVES = pathlib.Path(__file__).with_name("lives.py")
# Four steps are an epoch: 15 steps of the first stage, 9 of the second, 6 of
# both. Within an epoch, while writing, and between the stages.
POINTS = "step:6,write:1,begin:2,step:6,step:10,save"

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "torch" or not hasattr(os, "fork"),
    reason="processes are forked, which JAX and TensorFlow do not stand",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    output = tmp_path_factory.mktemp("lives")
    done = subprocess.run(
        [sys.executable, str(LIVES), str(output), POINTS],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    return {
        folder.name: kh.load_model(folder / "cascade.keras").get_weights()
        for folder in output.iterdir()
    }


@pytest.mark.slow
def test_killed_again_and_again(weights):
    for found, expected in zip(
        weights["killed"], weights["uninterrupted"], strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_the_order_of_the_data_matters(weights):
    pairs = zip(weights["forgetful"], weights["uninterrupted"], strict=True)
    assert any((found != expected).any() for found, expected in pairs)


@pytest.mark.slow
def test_checkpoints_of_another_training_are_refused(tmp_path):
    steps = {"steps": 4, "second_stage": "none", "second_options": {}}
    steps["joint_share"] = 0.0
    train(tmp_path, **steps)
    with pytest.raises(ValueError, match="of another training"):
        train(tmp_path, **steps, seed=1)
    trained = train(tmp_path, **steps)
    assert trained.steps == {"first": 4}


@pytest.mark.slow
def test_bands_that_fail_lose_no_model(tmp_path, monkeypatch):
    steps = {"steps": 2, "second_stage": "none", "second_options": {}}
    steps["joint_share"] = 0.0
    trained = train(tmp_path / "good", **steps)
    errors = trained.model.provenance["band_errors"]
    assert trained.model.provenance["cells"][0]["num_structures"] > 0
    assert errors["none"] > 0
    chosen = trained.model.overlap_threshold
    assert min(errors.values()) <= errors[str(chosen or "none")]

    def fails(*_):
        raise ValueError("no bands")

    monkeypatch.setattr(preparation, "choose_overlap_threshold", fails)
    with pytest.warns(UserWarning, match="no bands"):
        trained = train(tmp_path / "bad", **steps)
    assert kh.load_model(trained.file).overlap_threshold is None
