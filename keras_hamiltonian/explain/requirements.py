"""TensorFlow and tf-keras-vis, which the maps of gradients need."""

import importlib
import importlib.util
import os
import sys

PACKAGES = {"tensorflow": "TensorFlow", "tf_keras_vis": "tf-keras-vis"}
INSTALL = 'pip install "keras-hamiltonian[explain]"'


def use_tensorflow():
    """Makes Keras run on TensorFlow, which the maps of gradients need.

    Call it before Keras is imported. A model file is the same for all
    backends.

    Raises:
        ImportError: if TensorFlow or tf-keras-vis is not installed.
        ValueError: if Keras already runs on another backend.

    Example:

    >>> import keras_hamiltonian as kh                 # doctest: +SKIP
    >>> kh.explain.use_tensorflow()                    # doctest: +SKIP
    >>> model = kh.load_model("graphene.keras")        # doctest: +SKIP
    """
    missing = [
        name
        for package, name in PACKAGES.items()
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        raise ImportError(
            "Maps of gradients need tf-keras-vis and TensorFlow. Missing "
            f"here: {' and '.join(missing)}. Install both: {INSTALL}"
        )
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        return
    import keras

    if keras.config.backend() != "tensorflow":
        raise ValueError(
            "Maps of gradients need TensorFlow, and Keras already runs on "
            f"{keras.config.backend()}. Call "
            "`keras_hamiltonian.explain.use_tensorflow()` before Keras is "
            "imported, or set the environment variable "
            "KERAS_BACKEND=tensorflow; a model file is the same for all "
            "backends."
        )


def find_visualizer(module, name):
    """Imports a class of tf-keras-vis.

    Args:
        module: str. Module of `tf_keras_vis`.
        name: str. Name of the class.

    Returns:
        The class.

    Raises:
        ImportError, ValueError: as `use_tensorflow`.
    """
    use_tensorflow()
    return getattr(importlib.import_module(f"tf_keras_vis.{module}"), name)
