"""The package is light to import, and every public name is there."""

import importlib
import os
import subprocess
import sys
import types

import pytest

import keras_hamiltonian as kh

ROOMS = [
    "callbacks",
    "data",
    "evaluation",
    "explain",
    "irreps",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "orbitals",
    "physics",
    "plots",
    "selection",
    "structures",
    "superposition",
    "testing",
    "training",
    "uncertainty",
]


def python(code, **environment):
    """Output of a fresh Python without KERAS_BACKEND unless given."""
    kept = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("room", ROOMS)
def test_names_of_a_room(room):
    module = getattr(kh, room)
    names = [n for n in dir(module) if not n.startswith("_")]
    assert names
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense


def test_a_name_has_one_meaning():
    # The same in NumPy and in tensors.
    twins = {"edge_frames", "spherical_harmonics"}
    found = {}
    for room in ROOMS:
        module = getattr(kh, room)
        for name in dir(module):
            value = getattr(module, name)
            is_file = isinstance(value, types.ModuleType)
            if name[0] != "_" and name not in twins and not is_file:
                assert found.setdefault(name, value) is value, name


def test_top_level_names():
    for name in dir(kh):
        getattr(kh, name)
    assert kh.load_model is kh.models.load_model


@pytest.mark.slow
def test_a_function_is_not_hidden_by_its_module():
    code = (
        "import keras_hamiltonian as kh\n"
        "import keras_hamiltonian.testing.check_layer\n"
        "print(callable(kh.testing.check_layer))"
    )
    assert python(code) == "True"


def test_physics_and_files_need_no_keras():
    code = (
        "import sys, keras_hamiltonian as kh\n"
        "kh.physics.k_path, kh.HamiltonianStore, kh.data.Split\n"
        "kh.metrics.MatrixErrors, kh.plots.plot_bands, kh.OrbitalBasis\n"
        "kh.ElectronicStructure, kh.ZerothStep\n"
        "import data_tools.deeph, data_tools.openmx\n"
        "import data_tools.species\n"
        "print({'keras', 'torch', 'tensorflow', 'jax'} & set(sys.modules))"
    )
    assert python(code) == "set()"


@pytest.mark.parametrize(
    "written, given, expected",
    [
        (None, None, "torch"),
        ("tensorflow", None, "torch"),  # what Keras writes by itself
        ("jax", None, "None"),
        (None, "jax", "jax"),
    ],
)
def test_default_backend(tmp_path, written, given, expected):
    if written:
        text = f'{{"backend": "{written}"}}'
        (tmp_path / "keras.json").write_text(text)
    environment = {"KERAS_HOME": str(tmp_path)}
    if given:
        environment["KERAS_BACKEND"] = given
    code = (
        "import os, keras_hamiltonian; print(os.environ.get('KERAS_BACKEND'))"
    )
    assert python(code, **environment) == expected


def test_readers_do_not_stand_below_the_package():
    module = importlib.import_module("keras_hamiltonian.prediction")
    assert not hasattr(module, "write_legacy")
