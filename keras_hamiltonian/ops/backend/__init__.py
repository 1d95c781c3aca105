"""Tensor functions of the running backend: the only place that knows it.

`reference` defines every function in `keras.ops`. A backend may bring its own
version of the same meaning: torch, which runs eagerly, does, because a
`keras.ops` call costs as much there as a small product of matrices.
"""

import importlib

import keras

from keras_hamiltonian.ops.backend import reference
from keras_hamiltonian.ops.backend.compiled_programs import (
    keep_compiled_programs,
)
from keras_hamiltonian.ops.backend.reference import FUNCTIONS

if keras.config.backend() == "torch":
    _native = importlib.import_module("keras_hamiltonian.ops.backend.torch")
    _fused = importlib.import_module(
        "keras_hamiltonian.ops.backend.torch.fused"
    )
else:
    _native, _fused = reference, None
if keras.config.backend() == "jax":
    keep_compiled_programs()

globals().update(
    {
        name: getattr(_native, name, getattr(reference, name))
        for name in FUNCTIONS
    }
)


def fused_kernel(name, kernel, *tensors):
    """The fused kernel of an operation, or `None` where the reference runs.

    Args:
        name: str. The operation.
        kernel: `None` for the fused kernel where it can run, `"fused"` to
            insist on it, `"reference"` to do without.
        *tensors: the float tensors it is to run on.

    Returns:
        A function, or `None`.

    Raises:
        ValueError: if `"fused"` cannot run.
    """
    if kernel == "reference":
        return None
    if kernel not in (None, "fused"):
        raise ValueError(
            '`kernel` is None, "fused" or "reference". Received: '
            f"kernel={kernel!r}."
        )
    if _fused is None:
        found = f"the backend is {keras.config.backend()}, not torch"
    else:
        found = _fused.obstacle(*tensors)
    if found is None:
        return _fused.load(name)
    if kernel == "fused":
        raise ValueError(
            f"The fused kernel cannot run: {found}. With kernel=None the "
            "reference runs instead."
        )
    return None
