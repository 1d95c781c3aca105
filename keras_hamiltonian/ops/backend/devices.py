"""Devices by the names that Keras gives them, such as `"gpu:1"`."""

import importlib

import keras

KINDS = ("cpu", "gpu", "tpu")
# Keras cannot list those of torch.
_torch = None
if keras.config.backend() == "torch":
    _torch = importlib.import_module(
        "keras_hamiltonian.ops.backend.torch.devices"
    )


def device_names():
    """List of the devices that the backend sees."""
    if _torch is not None:
        return _torch.device_names()
    found = []
    for kind in KINDS:
        try:
            found += keras.distribution.list_devices(kind)
        except RuntimeError:  # of JAX, where there is none of a kind
            continue
    return found


def device_of(tensor):
    """Name of the device that holds a tensor; `None` of several."""
    if _torch is not None:
        return _torch.device_of(tensor)
    device = tensor.device
    if isinstance(device, str):  # of TensorFlow: a path with the name in it
        return device.lower().split("device:")[-1]
    if not hasattr(device, "platform"):  # of JAX: on several
        return None
    return f"{device.platform}:{device.id}"
