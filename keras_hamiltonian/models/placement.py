"""On which device a model computes, and in which precision."""

import contextlib

import keras

from keras_hamiltonian.ops.backend.devices import device_names
from keras_hamiltonian.ops.backend.devices import device_of

DTYPES = ("float32", "float64")


def check_placement(device=None, dtype=None):
    """Refuses what is not there, before any work.

    Args:
        device: str, a device by Keras' name, such as `"cpu"`, `"gpu"` or
            `"gpu:1"`; or `None`.
        dtype: `"float32"`, `"float64"` or `None`.

    Raises:
        ValueError: for a device that the backend does not see, or another
            dtype.
    """
    if dtype not in (None, *DTYPES):
        raise ValueError(
            'A prediction is computed in "float32" or "float64". Received: '
            f"dtype={dtype!r}. Half precision keeps two or three digits of "
            "matrix elements of tens of eV: 4 to 12 meV on the mean."
        )
    if dtype == "float64" and not _has_float64():
        raise ValueError(
            "JAX computes float64 in float32 unless told otherwise. Set "
            "JAX_ENABLE_X64=1 in the environment before Python starts, or "
            'leave dtype="float64" out.'
        )
    if device is not None and _full_name(device) not in device_names():
        raise ValueError(
            f"{keras.config.backend()} sees the devices "
            f"{', '.join(device_names())}. Received: device={device!r}. Take "
            "one of these; for a GPU install its driver and a build of "
            f"{keras.config.backend()} that has its kernels."
        )


def on_device(device=None):
    """A context in which tensors and models are made on a device.

    Args:
        device: see `check_placement`. `None`: where they are made anyway.
    """
    if device is None:
        return contextlib.nullcontext()
    return keras.device(device)


def placed(model, device=None, dtype=None):
    """A model as it is wanted: the same, or a copy of it.

    Args:
        model: `Stage`. It stays as it is.
        device, dtype: see `check_placement`. `None`: those of the model.

    Returns:
        `Stage`, which computes where `on_device(device)` is in force. In
        float64 it has the same weights; what the network adds to their
        rounding is gone.

    Raises:
        ValueError: for a stage without an argument `dtype`.
    """
    if device is dtype is None:
        return model
    config = model.get_config()
    wanted = config if dtype is None else _converted(config, dtype)
    is_there = device is None or all(
        device_of(weight.value) == _full_name(device)
        for weight in model.weights
    )
    if not is_there or wanted != config:
        known = [keras.ops.convert_to_numpy(w) for w in model.weights]
        with on_device(device):
            model = type(model).from_config(wanted)
            for weight, value in zip(model.weights, known):
                weight.assign(value)
    found = model.input["edge_vectors"].dtype
    if dtype not in (None, found):
        raise ValueError(
            f"The model {model.name!r} cannot be computed in {dtype}: its "
            f"class {type(model).__name__} takes no `dtype`, and makes layers "
            f"of {found}. Give it one, see `FirstStage`."
        )
    return model


def _converted(config, dtype):
    """A configuration whose layers have a dtype, without compilation."""
    if isinstance(config, list | tuple):
        return [_converted(item, dtype) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: _converted_item(key, value, dtype)
        for key, value in config.items()
        if key != "compile_config"
    }


def _converted_item(key, value, dtype):
    # What is said of the training stays true.
    if key == "provenance":
        return value
    return dtype if key == "dtype" else _converted(value, dtype)


def _full_name(device):
    """`"gpu:0"` of `"GPU"` or `"cuda"`."""
    name = str(device).lower().replace("cuda", "gpu")
    return name if ":" in name else f"{name}:0"


def _has_float64():
    one = keras.ops.ones(1, "float64")
    return keras.backend.standardize_dtype(one.dtype) == "float64"
