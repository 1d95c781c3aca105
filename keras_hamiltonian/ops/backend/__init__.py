"""The only place that knows which backend runs."""

import importlib

import keras

from keras_hamiltonian.ops.backend import reference


def native(name):
    """The function of this name: the backend's own, or the reference.

    Args:
        name: str. Name of a function of `reference`.

    Returns:
        Callable.
    """
    return getattr(_module(), name, getattr(reference, name))


def _module():
    if keras.config.backend() != "torch":
        return reference
    return importlib.import_module("keras_hamiltonian.ops.backend.torch")
