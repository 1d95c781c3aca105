"""The layers of models keep the contract of `tests/layers`, too."""

import importlib
import pkgutil

import keras
import numpy as np
import part_cases
import pytest
import roll_cases
import transformer_cases

from keras_hamiltonian import models
from keras_hamiltonian.testing import check_layer

FILES = [part_cases, roll_cases, transformer_cases]
CASES = {name: cases for file in FILES for name, cases in file.CASES.items()}
# Other backends compile each case for seconds, and backbones for half a minute;
# the tests of the stages run those whole.
COMPILES = keras.config.backend() != "torch"
LARGE = ("Backbone", "Readout") if COMPILES else ()
NUM_CASES = 1 if COMPILES else 3


def layer_classes():
    """All registered layers of the room that are no models, by name."""
    found = {}
    for file in pkgutil.walk_packages(
        models.__path__, "keras_hamiltonian.models."
    ):
        module = importlib.import_module(file.name)
        for name, value in vars(module).items():
            if (
                isinstance(value, type)
                and issubclass(value, keras.layers.Layer)
                and not issubclass(value, keras.Model)
                and value.__module__ == module.__name__
                and ">" in keras.saving.get_registered_name(value)
            ):
                found[name] = value
    return found


CLASSES = layer_classes()


def test_every_layer_has_a_case():
    assert set(CLASSES) == set(CASES)


@pytest.mark.parametrize(
    "name, number",
    [
        (name, k)
        for name, cases in CASES.items()
        for k in range(len(cases[:NUM_CASES]))
        if not name.endswith(LARGE)
    ],
)
def test_contract(name, number):
    arguments, inputs = CASES[name][number](np.random.default_rng(0))
    # Projectors start with the weight zero, which hides what they are made of.
    is_trained = not arguments.get("projectors")
    check_layer(CLASSES[name], arguments, inputs, is_trained)
