"""Reading a trained model."""

import importlib
import json
import pathlib
import tempfile
import zipfile

import keras
import numpy as np

# Imported to register the classes that a file may name.
from keras_hamiltonian.losses import block_errors  # noqa: F401
from keras_hamiltonian.models import equivariant_stage  # noqa: F401
from keras_hamiltonian.models import equivariant_transformer_stage  # noqa: F401
from keras_hamiltonian.models import hamiltonian_cascade  # noqa: F401
from keras_hamiltonian.models import old_files
from keras_hamiltonian.models import transformer_stage  # noqa: F401
from keras_hamiltonian.models.presets import model_file
from keras_hamiltonian.models.stage import Stage
from keras_hamiltonian.optimizers import muon  # noqa: F401
from keras_hamiltonian.reading import check_size
from keras_hamiltonian.reading import reading

# Modules whose classes are known.
OWN = ("keras", "keras_hamiltonian", "builtins")
# Bytes of config.json, which holds the overlap and H⁰ of species as well.
LONGEST_CONFIG = 2**26


def load_model(path):
    """Reads a `.keras` file, ready to predict.

    The file may come from another backend, and from package version 0.1.0. To
    continue a training on the backend it was made with, use
    `keras.models.load_model`, which restores the optimizer too.

    Layers and stages of your own are found where the file says: their modules
    are imported from the Python path. A file names modules and never holds
    code, but importing runs what the module does when imported.

    Args:
        path: str or path; or a preset, see `Stage.from_preset`, where there
            is no such file.

    Returns:
        `Stage`.

    Raises:
        ValueError: if the file is missing, holds another kind of model, or
            was written by a newer version, is damaged or has weights that are
            not finite, or a module that it names cannot be imported.
    """
    path = model_file(path)
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is no model: models are .keras files, as `train` and "
            "`model.save` write them."
        )
    with reading(path), tempfile.TemporaryDirectory() as folder:
        _check_sizes(path)
        file = path
        if old_files.is_old(path):
            file = pathlib.Path(folder) / "model.keras"
            old_files.convert(path, file)
        model = _read(file, path)
    if not isinstance(model, Stage):
        raise ValueError(
            f"{path} holds a {type(model).__name__}, no model of matrix blocks."
        )
    return model


def _check_sizes(path):
    """Refuses members that are larger than those of a model."""
    with zipfile.ZipFile(path) as file:
        sizes = {member.filename: member.file_size for member in file.filelist}
    check_size(path, sum(sizes.values()))
    if sizes.get("config.json", 0) > LONGEST_CONFIG:
        raise ValueError(
            f"{path} has a config.json of {sizes['config.json']} bytes; "
            f"expected at most {LONGEST_CONFIG}. It is no model, or damaged."
        )


def _read(path, named):
    """The model of a file; errors name `named`."""
    _import_modules(path, named)
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Keras lists every weight; its first paragraph names the trouble.
        reason = " ".join(str(error).split("[", 1)[0].split())[:400]
        raise ValueError(
            f"{named} is no model that this version of the package can read. "
            f"{reason}"
        ) from error
    for weight in model.weights:
        values = keras.ops.convert_to_numpy(weight)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(
                f"{named} cannot predict: its weights {weight.path} are not "
                "all finite. Its training went astray; train again, with a "
                "smaller learning rate."
            )
    return model


def _import_modules(path, named):
    """Imports the modules of layers and stages that the file names."""
    with zipfile.ZipFile(path) as file:
        if "config.json" not in file.namelist():
            return
        config = json.loads(file.read("config.json"))
    for module in sorted(_modules(config)):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ValueError(
                f"{named} has layers or stages of the module {module!r}, which "
                f"cannot be imported: {error}. Run Python in the folder of the "
                "module's file, or install it."
            ) from error


def _modules(config):
    """Modules that a configuration names, but for those of Keras."""
    if isinstance(config, list):
        return {name for item in config for name in _modules(item)}
    if not isinstance(config, dict):
        return set()
    # Losses and metrics are not needed to predict.
    items = [x for key, x in config.items() if key != "compile_config"]
    found = {name for item in items for name in _modules(item)}
    module = config.get("module")
    if "class_name" in config and isinstance(module, str):
        found.add(module)
    return {name for name in found if name.split(".")[0] not in OWN}
