"""Arrays of numbers in JSON, for configurations of models."""

import base64

import numpy as np


def encode_array(array):
    """A float64 array as JSON: its shape and its bytes in base64."""
    array = np.ascontiguousarray(array, dtype="<f8")
    text = base64.b64encode(array.tobytes()).decode("ascii")
    return {"shape": list(array.shape), "float64": text}


def decode_array(config):
    """The array that `encode_array` wrote."""
    raw = base64.b64decode(config["float64"])
    return np.frombuffer(raw, dtype="<f8").reshape(config["shape"]).copy()
