"""Every public layer: configuration, shapes, saving, a training step."""

import attention_cases
import convolution_cases
import geometry_cases
import keras
import linear_cases
import norm_cases
import numpy as np
import pytest
import readout_cases

from keras_hamiltonian import layers
from keras_hamiltonian.testing import check_layer

FILES = [
    attention_cases,
    convolution_cases,
    geometry_cases,
    linear_cases,
    norm_cases,
    readout_cases,
]
CASES = {name: cases for file in FILES for name, cases in file.CASES.items()}
# JAX compiles each case for seconds: one of each layer there.
NUM_CASES = 1 if keras.config.backend() == "jax" else 3


def test_every_public_layer_has_a_case():
    public = {name for name in dir(layers) if not name.startswith("_")}
    assert public == set(CASES)


@pytest.mark.parametrize(
    "name, number",
    [(n, k) for n in CASES for k in range(len(CASES[n][:NUM_CASES]))],
)
def test_contract(name, number):
    arguments, inputs = CASES[name][number](np.random.default_rng(0))
    check_layer(getattr(layers, name), arguments, inputs)
