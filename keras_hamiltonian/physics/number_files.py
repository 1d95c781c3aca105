"""Named arrays, numbers, lists and texts in one file, JSON or NumPy's."""

import json
import pathlib

import numpy as np

from keras_hamiltonian.files import replacing
from keras_hamiltonian.files import write_text


def write_fields(path, fields):
    """Writes named values: `.npz` by the suffix, else JSON text.

    JSON has no NaN: it becomes `null`. NumPy's files hold arrays and texts
    alone; all other values are JSON texts there, see `read_value`.

    Args:
        path: str or path.
        fields: dict to arrays, texts, and values that JSON has.
    """
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        kept = {
            key: value
            if isinstance(value, np.ndarray | str)
            else json.dumps(value)
            for key, value in fields.items()
        }
        with replacing(path) as place:
            np.savez_compressed(place, **kept)
        return
    lists = {
        key: _plain(value) if isinstance(value, np.ndarray) else value
        for key, value in fields.items()
    }
    write_text(path, json.dumps(lists, allow_nan=False))


def _plain(array):
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), None, array)
    return array.tolist()


def read_fields(path):
    """What `write_fields` wrote: a dict of arrays, or of lists from JSON."""
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return {key: archive[key] for key in archive}
    return json.loads(path.read_text())


def read_value(value):
    """A number, list or `None` of `read_fields`, which may be a JSON text: in
    NumPy's files, and in the JSON of older versions."""
    if isinstance(value, str | np.ndarray):
        return json.loads(str(value))
    return value
