"""`evaluate` applies the split beside a model to its own data alone."""

import dataclasses
import shutil

import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.cli.evaluate import _known_split
from keras_hamiltonian.data.splits import random_split
from keras_hamiltonian.training.fingerprint import content_checksum


@pytest.fixture
def run(tmp_path, data_folder):
    """Data, and the folder of a run with the split that was drawn."""
    known = kh.HamiltonianStore(data_folder / "reference_graphene.h5")["000"]
    data = tmp_path / "set.h5"
    for path, level in ((data, -3.0), (tmp_path / "other.h5", -3.1)):
        changed = dataclasses.replace(known, fermi_level=level)
        kh.HamiltonianStore.write(path, [changed]).close()
    model = tmp_path / "run" / "set.keras"
    model.parent.mkdir()
    split = random_split(["a", "b", "c"])
    split.write(model.parent / "split.json", [content_checksum(data)])
    return data, model


def test_the_same_data(run, capsys):
    data, model = run
    assert _known_split(data, model) == model.parent / "split.json"
    other = data.rename(data.with_name("renamed.h5"))
    assert _known_split(other, model) == model.parent / "split.json"
    assert capsys.readouterr().err == ""


def test_other_data_of_the_same_names(run, capsys):
    data, model = run
    shutil.copyfile(data.with_name("other.h5"), data)
    assert _known_split(data, model) is None
    assert "was drawn for other data" in capsys.readouterr().err
    (data.parent / "set.split.json").write_text("{}")
    assert _known_split(data, model) == data.parent / "set.split.json"


def test_a_split_that_does_not_say(run, capsys):
    data, model = run
    split = kh.data.Split.read(model.parent / "split.json")
    split.write(model.parent / "split.json")
    assert _known_split(data, model) is None
    assert "--split" in capsys.readouterr().err


def test_folders_are_known_by_what_they_hold(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("1")
    assert content_checksum(tmp_path / "a") == content_checksum(tmp_path / "b")
    (tmp_path / "b" / "x").rename(tmp_path / "b" / "y")
    assert content_checksum(tmp_path / "a") != content_checksum(tmp_path / "b")
