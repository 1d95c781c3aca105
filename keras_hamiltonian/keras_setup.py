"""What the package does to Keras: a default backend, and known classes."""

import importlib
import importlib.abc
import importlib.util
import inspect
import json
import os
import pathlib
import sys

DEFAULT_BACKEND = "torch"
# Keras writes this choice into a file of its own at its first import.
KERAS_OWN_CHOICE = "tensorflow"


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


def register_classes():
    """Makes `keras.models.load_model` find the models of this package.

    Their modules register them when imported: at once if Keras is there,
    otherwise after Keras has been imported. Where a module of this package
    imports Keras, that is too early, and the next call of this function does
    it.
    """
    if "keras" not in sys.modules:
        if not any(isinstance(f, _AfterKeras) for f in sys.meta_path):
            sys.meta_path.insert(0, _AfterKeras())
    elif not _is_importing():
        importlib.import_module("keras_hamiltonian.models.loading")


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Sees the import of Keras once, and imports the models after it."""

    def find_spec(self, name, path, target=None):
        """The usual specification of Keras, with one more step."""
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            register_classes()

        spec.loader.exec_module = exec_module
        return spec


def _is_importing():
    """Whether a module of this package is being imported right now."""
    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if frame.f_code.co_name == "<module>" and name.startswith(
            "keras_hamiltonian."
        ):
            return True
        frame = frame.f_back
    return False
