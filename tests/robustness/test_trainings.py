"""Two trainings in one folder, and settings that grow without end."""

import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.files import locked
from keras_hamiltonian.reading import load_yaml


def test_two_trainings_do_not_share_a_folder(data_folder, tmp_path):
    options = {"folder": tmp_path / "run"}
    options["settings"] = kh.training.TrainingSettings(steps=1)
    with locked(tmp_path / "run"):
        with pytest.raises(ValueError, match="Another process works in.*run"):
            kh.train(data_folder / "graphene.h5", **options)
    assert not (tmp_path / "run").exists()


def test_settings_without_aliases(tmp_path):
    text, name = "a0: &a0 [x, x]\n", "a0"
    for k in range(1, 40):
        text += f"a{k}: &a{k} [*{name}, *{name}]\n"
        name = f"a{k}"
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="x.yaml.*aliases"):
        kh.training.TrainingSettings.read(path)
    assert load_yaml("a: [1, {b: 2.5}]") == {"a": [1, {"b": 2.5}]}
