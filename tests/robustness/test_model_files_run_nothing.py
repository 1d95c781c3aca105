"""Model files that would run code: refused, and nothing runs."""

import base64
import io
import json
import os
import pickle
import zipfile

import keras
import numpy as np
import pytest

import keras_hamiltonian as kh


class Attack:
    """Makes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def foreign(class_name, module, /, **config):
    return {
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": None,
    }


def layer_with_code(mark):
    """Keras keeps the bytecode of a lambda."""
    layer = keras.layers.Lambda(
        lambda x, path=str(mark): (__import__("os").mkdir(path), x)[1]
    )
    return keras.saving.serialize_keras_object(layer)


def as_text(mark):
    return base64.b64encode(pickle.dumps(Attack(mark))).decode()


CONFIGS = {
    "function": lambda mark: foreign("mkdir", "os", path=str(mark)),
    "process": lambda mark: foreign(
        "Popen", "subprocess", args=["mkdir", mark]
    ),
    "layer with code": layer_with_code,
    "pickle": lambda mark: foreign(
        "TorchModuleWrapper", "keras.layers", module=as_text(mark)
    ),
    "switch": lambda mark: foreign(
        "enable_unsafe_deserialization", "keras.config"
    ),
}


def write_model(path, known, **parts):
    """A copy of a model file with other parts, `None` for none."""
    with zipfile.ZipFile(known) as old, zipfile.ZipFile(path, "w") as new:
        contents = {name: old.read(name) for name in old.namelist()}
        for name, data in {**contents, **parts}.items():
            if data is not None:
                new.writestr(name, data)


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations(case, untrained_file, tmp_path):
    mark, path = tmp_path / "ran", tmp_path / "x.keras"
    config = json.dumps(CONFIGS[case](mark), default=str)
    write_model(path, untrained_file, **{"config.json": config})
    with pytest.raises(ValueError, match="x.keras"):
        kh.load_model(path)
    assert not mark.exists()
    # Nothing has been switched on.
    with pytest.raises(ValueError, match="Lambda"):
        keras.saving.deserialize_keras_object(layer_with_code(mark))


def test_weights_with_a_pickle(untrained_file, tmp_path):
    mark, path, weights = tmp_path / "ran", tmp_path / "x.keras", io.BytesIO()
    np.savez(weights, a=np.array([Attack(mark)], dtype=object))
    parts = {"model.weights.h5": None, "model.weights.npz": weights.getvalue()}
    write_model(path, untrained_file, **parts)
    with pytest.raises(ValueError, match="x.keras"):
        kh.load_model(path)
    assert not mark.exists()


def test_the_attacks_are_some(tmp_path):
    """The control: without the refusal both would have run."""
    pickle.loads(base64.b64decode(as_text(tmp_path / "a")))
    layer = keras.saving.deserialize_keras_object(
        layer_with_code(tmp_path / "b"), safe_mode=False
    )
    layer(keras.ops.ones(1))
    assert (tmp_path / "a").exists() and (tmp_path / "b").exists()
