"""Named arrays and texts in one file, JSON or NumPy's."""

import json
import pathlib

import numpy as np


def write_fields(path, fields):
    """Writes arrays and texts: `.npz` by the suffix, else JSON text."""
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        np.savez_compressed(path, **fields)
        return
    lists = {
        key: value.tolist() if isinstance(value, np.ndarray) else value
        for key, value in fields.items()
    }
    path.write_text(json.dumps(lists))


def read_fields(path):
    """What `write_fields` wrote: a dict of arrays, or of lists from JSON."""
    path = pathlib.Path(path)
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return {key: archive[key] for key in archive}
    return json.loads(path.read_text())
