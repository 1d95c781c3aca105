"""Definitions in keras.ops, for every backend.

`keras.ops.mean` computes float64 in float32 on torch; sums do not.
"""

import math

import keras
import numpy as np


def split(x, sizes, axis):
    """Pieces of given sizes along an axis."""
    return keras.ops.split(x, np.cumsum(sizes)[:-1].tolist(), axis=axis)


def exchange_rows(x, partners):
    """Rows in the order of their partners.

    Args:
        x: `(E, size)` tensor.
        partners: `(E,)` int tensor, its own inverse: the partner of a row's
            partner is the row.
    """
    return keras.ops.take(x, partners, axis=0)


def layer_normalize(x, epsilon):
    """Zero mean and unit variance over the last axis."""
    mean = keras.ops.sum(x, axis=-1, keepdims=True) * (1 / x.shape[-1])
    return rms_normalize(x - mean, epsilon, num_axes=1)


def rms_normalize(x, epsilon, num_axes):
    """Divides by the root mean square over the last axes."""
    axes = tuple(range(-num_axes, 0))
    size = math.prod(x.shape[axis] for axis in axes)
    square = keras.ops.sum(x * x, axis=axes, keepdims=True)
    return x * keras.ops.rsqrt(square * (1 / size) + epsilon)
