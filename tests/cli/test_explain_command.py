"""`explain`: which structure, which data, and what it leaves."""

import os
import subprocess
import sys

import ase.build
import keras
import pytest
from largest_file import largest_file

from keras_hamiltonian.cli.explain import _structures
from keras_hamiltonian.data import Split


def test_structure_and_data_of_a_set(data_folder):
    path = data_folder / "bismuthene.h5"
    split = Split.read(path.with_suffix(".split.json"))
    structure, training, held_out = _structures(path, None, None)
    assert structure.name == split.test[0]
    assert tuple(s.name for s in training) == split.train
    assert tuple(s.name for s in held_out) == split.test
    structure, *_ = _structures(path, split.train[1], None)
    assert structure.name == split.train[1]
    with pytest.raises(ValueError, match="no structure none"):
        _structures(path, "none", None)


def test_what_a_user_has_drawn_is_compared_with_nothing(folder):
    ase.build.graphene(vacuum=7.5).write("sheet.xyz")
    structure, training, held_out = _structures(
        folder / "sheet.xyz", None, None
    )
    assert structure.name == "sheet" and not training and not held_out


@pytest.mark.skipif(
    keras.config.backend() == "tensorflow", reason="the backend it needs"
)
def test_another_backend_is_told(command, data_folder, untrained_file):
    pytest.importorskip("tf_keras_vis")
    cell = data_folder / "reference_graphene.h5"
    result = command("explain", untrained_file, cell, code=1)
    assert result.stderr.startswith("Error: Maps of gradients need TensorFlow")


def run(*words):
    """The command in a process of its own, on the backend that it needs."""
    pytest.importorskip("tf_keras_vis")
    return subprocess.run(
        [sys.executable, "-m", "keras_hamiltonian", "explain", *words],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_a_block_of_a_model_of_another_backend(untrained_file, folder):
    ase.build.graphene(vacuum=7.5).write("sheet.xyz")
    words = untrained_file, "sheet.xyz", "-o", "why"
    done = run(*words, *"--rows s1 --columns s1 --width 3".split())
    assert done.returncode == 0, done.stderr
    assert "sheet, H(0, 1) s1-s1" in done.stdout
    assert (folder / "why" / "map.png").is_file()
    again = run(*words)
    assert again.returncode == 1 and "has files in it" in again.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_full_disk(untrained_file, folder):
    ase.build.graphene(vacuum=7.5).write("sheet.xyz")
    words = untrained_file, "sheet.xyz", "-o", "why"
    small = "--rows s1 --columns s1 --width 3".split()
    with largest_file(1500):
        done = run(*words, *small)
    assert done.returncode == 1, done.stderr
    (error,) = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
    assert "disk" in error and "why" in error
    assert "Traceback" not in done.stderr
    assert not [p for p in folder.rglob("*") if p.parent.name == "why"]
