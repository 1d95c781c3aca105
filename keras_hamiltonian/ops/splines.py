"""Cubic B-splines of the edge length."""

import numpy as np

from keras_hamiltonian.ops import backend


def cubic_splines(relative, num_splines):
    """Uniform cubic B-splines on [0, 1], all zero with two derivatives at 1.

    Args:
        relative: `(N, M)` tensor. Distance over the reach.
        num_splines: int.

    Returns:
        `(N, M, num_splines)` tensor; see `orbitals.splines.spline_values`.
    """
    centers = backend.constant(np.arange(num_splines), relative)
    distance = backend.abs(relative[..., None] * (num_splines + 1) - centers)
    outer = backend.relu(2 - distance)
    inner = backend.relu(1 - distance)
    return (outer * outer * outer - 4 * inner * inner * inner) * (1 / 6)
