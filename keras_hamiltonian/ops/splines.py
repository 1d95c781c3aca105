"""Cubic B-splines of the bond length."""

import keras
import numpy as np


def cubic_splines(relative, num_splines):
    """Uniform cubic B-splines on [0, 1], all zero with two derivatives at 1.

    Args:
        relative: `(N, M)` tensor. Distance over the reach.
        num_splines: int.

    Returns:
        `(N, M, num_splines)` tensor; see `orbitals.splines.spline_values`.
    """
    centers = keras.ops.convert_to_tensor(
        np.arange(num_splines), dtype=relative.dtype
    )
    distance = keras.ops.abs(relative[..., None] * (num_splines + 1) - centers)
    outer = keras.ops.relu(2 - distance)
    inner = keras.ops.relu(1 - distance)
    return (outer * outer * outer - 4 * inner * inner * inner) * (1 / 6)
