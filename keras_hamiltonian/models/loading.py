"""Reading a trained model."""

import pathlib
import zipfile

import keras

# Imported to register the classes that a file may name.
from keras_hamiltonian.losses import block_errors  # noqa: F401
from keras_hamiltonian.models import equivariant_stage  # noqa: F401
from keras_hamiltonian.models import equivariant_transformer_stage  # noqa: F401
from keras_hamiltonian.models import hamiltonian_cascade  # noqa: F401
from keras_hamiltonian.models import transformer_stage  # noqa: F401
from keras_hamiltonian.models.stage import Stage


def load_model(path):
    """Reads a `.keras` file, ready to predict.

    The file may come from another backend. To continue a training on the
    backend it was made with, use `keras.models.load_model`, which restores
    the optimizer too.

    Args:
        path: str or path.

    Returns:
        `Stage`.

    Raises:
        ValueError: if the file is missing, holds another kind of model, or
            was written by a version whose layers differ.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"There is no model file {path}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is no model: models are .keras files, as `train` and "
            "`model.save` write them."
        )
    try:
        model = keras.saving.load_model(path, compile=False)
    except (TypeError, ValueError) as error:
        # Keras lists every weight; its first paragraph names the trouble.
        reason = " ".join(str(error).split("[", 1)[0].split())[:400]
        raise ValueError(
            f"{path} is no model that this version of the package can read; "
            f"it may come from another version. {reason}"
        ) from error
    if not isinstance(model, Stage):
        raise ValueError(
            f"{path} holds a {type(model).__name__}, no model of matrix blocks."
        )
    return model
