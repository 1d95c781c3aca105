"""Named arrays and texts in one file, JSON or NumPy's."""

import json
import pathlib

import numpy as np

from keras_hamiltonian.files import replacing
from keras_hamiltonian.files import write_text


def write_fields(path, fields):
    """Writes arrays and texts: `.npz` by the suffix, else JSON text.

    JSON has no NaN: it becomes `null`.
    """
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        with replacing(path) as place:
            np.savez_compressed(place, **fields)
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
