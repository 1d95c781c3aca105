"""Cubic B-splines that vanish at the end of the interval."""

import numpy as np


def spline_values(relative, num_splines):
    """Uniform cubic B-splines on [0, 1], all zero with two derivatives at 1.

    Args:
        relative: array. Distance over the reach.
        num_splines: int. Centres at k / (num_splines + 1), k = 0, 1, ...

    Returns:
        `(*relative.shape, num_splines)` array.
    """
    scaled = np.asarray(relative)[..., None] * (num_splines + 1)
    distance = np.abs(scaled - np.arange(num_splines))
    outer = np.maximum(2 - distance, 0)
    inner = np.maximum(1 - distance, 0)
    return (outer**3 - 4 * inner**3) / 6


def spline_penalty(num_splines):
    """Sum of squared second differences of the coefficients, as a matrix."""
    difference = np.diff(np.eye(num_splines), n=2, axis=0)
    return difference.T @ difference
