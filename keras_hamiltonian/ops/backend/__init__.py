"""Tensor functions of the running backend: the only place that knows it.

`reference` defines every function in `keras.ops`. A backend may bring its own
version of the same meaning: torch, which runs eagerly, does, because a
`keras.ops` call costs as much there as a small product of matrices.
"""

import importlib

import keras

from keras_hamiltonian.ops.backend import reference
from keras_hamiltonian.ops.backend.reference import FUNCTIONS

if keras.config.backend() == "torch":
    _native = importlib.import_module("keras_hamiltonian.ops.backend.torch")
else:
    _native = reference

globals().update(
    {
        name: getattr(_native, name, getattr(reference, name))
        for name in FUNCTIONS
    }
)
