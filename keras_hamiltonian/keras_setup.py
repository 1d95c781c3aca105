"""What the package does to Keras: a default backend, and known classes."""

import functools
import importlib
import importlib.abc
import json
import os
import pathlib
import sys

DEFAULT_BACKEND = "torch"
# Keras writes this choice into a file of its own at its first import.
KERAS_OWN_CHOICE = "tensorflow"
# Imports every module whose classes a file may name.
MODELS = "keras_hamiltonian.models.loading"


def set_default_backend():
    """Chooses torch unless someone has chosen before.

    A choice is `KERAS_BACKEND`, an imported Keras, or a `keras.json` with a
    backend other than the one that Keras writes into it unasked.
    """
    if "keras" in sys.modules or "KERAS_BACKEND" in os.environ:
        return
    home = os.environ.get("KERAS_HOME", os.path.expanduser("~/.keras"))
    try:
        config = json.loads((pathlib.Path(home) / "keras.json").read_text())
        chosen = config.get("backend", KERAS_OWN_CHOICE)
    except (OSError, ValueError, AttributeError):
        chosen = KERAS_OWN_CHOICE
    if chosen == KERAS_OWN_CHOICE:
        os.environ["KERAS_BACKEND"] = DEFAULT_BACKEND


def quiet_tensorflow():
    """Keeps TensorFlow silent on other backends.

    Keras imports it there too where it is installed, when a model is saved,
    and it prints what it thinks of the processor.
    """
    if os.environ.get("KERAS_BACKEND") != "tensorflow":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        # Its message is printed at any level.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def register_classes():
    """Makes `keras.models.load_model` find the classes of this package.

    Importing their modules registers them. That happens at once if Keras is
    imported, else as soon as it is.
    """
    if "keras" in sys.modules:
        importlib.import_module(MODELS)
    else:
        sys.meta_path.insert(0, _AfterKeras())


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Imports the models after Keras was imported.

    Where a module of this package imports Keras, the models wait until that
    module is complete, because they may import it too.
    """

    def __init__(self):
        self.num_incomplete = 0

    def find_spec(self, name, path=None, target=None):
        """The usual specification; executing the module is watched."""
        if name != "keras" and not name.startswith("keras_hamiltonian."):
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = functools.partial(self._execute, spec.loader.exec_module)
            spec.loader.exec_module = execute
        return spec

    def _execute(self, execute, module):
        self.num_incomplete += 1
        try:
            execute(module)
        finally:
            self.num_incomplete -= 1
        is_ready = self.num_incomplete == 0 and "keras" in sys.modules
        if is_ready and self in sys.meta_path:
            sys.meta_path.remove(self)
            importlib.import_module(MODELS)
