"""What the maps of gradients need: TensorFlow and tf-keras-vis."""

import importlib

import keras

INSTALL = 'pip install "keras-hamiltonian[explain]"'


def find_visualizer(module, name):
    """A class of tf-keras-vis, imported when first asked for.

    Args:
        module: str. Module of `tf_keras_vis`.
        name: str. Name of the class.

    Returns:
        The class.

    Raises:
        ImportError: if tf-keras-vis or TensorFlow is not installed.
        ValueError: if Keras runs on another backend.
    """
    try:
        found = importlib.import_module(f"tf_keras_vis.{module}")
    except ImportError as error:
        raise ImportError(
            "Maps of gradients are made by tf-keras-vis, which needs "
            f"TensorFlow. Missing here: {error.name}. Install both: {INSTALL}"
        ) from error
    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "tf-keras-vis works on TensorFlow alone. Received: the Keras "
            f"backend {keras.config.backend()!r}. Set the environment variable "
            "KERAS_BACKEND=tensorflow before Python starts; a model file is "
            "the same for all backends."
        )
    return getattr(found, name)
