"""What is said where TensorFlow or tf-keras-vis is missing."""

import os
import subprocess
import sys

import keras
import pytest

from keras_hamiltonian.explain import requirements


@pytest.mark.parametrize("package", ["tensorflow", "tf_keras_vis"])
def test_missing_package(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"Missing here: .*\[explain\]"):
        requirements.use_tensorflow()


def test_other_backend(monkeypatch):
    monkeypatch.setattr(requirements, "PACKAGES", {})
    if keras.config.backend() == "tensorflow":
        before = dict(os.environ)
        requirements.use_tensorflow()
        assert os.environ == before
        monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        requirements.find_visualizer("saliency", "Saliency")


def test_backend_is_chosen_before_keras():
    code = (
        "import os, sys, keras_hamiltonian as kh\n"
        "from keras_hamiltonian.explain import requirements\n"
        "requirements.PACKAGES.clear()\n"
        "kh.explain.use_tensorflow()\n"
        "print(os.environ['KERAS_BACKEND'], 'keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["tensorflow", "False"]
