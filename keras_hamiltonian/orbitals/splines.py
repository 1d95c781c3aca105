"""Cubic B-splines that vanish at the end of the interval."""

import numpy as np
from scipy.interpolate import BSpline


def spline_values(relative, num_splines):
    """Uniform cubic B-splines on [0, 1], all zero with two derivatives at 1.

    Args:
        relative: array, 0 or more. Distance over the reach.
        num_splines: int. Centres at k / (num_splines + 1), k = 0, 1, ...

    Returns:
        `(*relative.shape, num_splines)` array; zero from 1 on.
    """
    # SciPy wants all splines of the interval: one more to the left, and those
    # that do not vanish at 1.
    knots = np.arange(-3, num_splines + 5) / (num_splines + 1)
    splines = BSpline(knots, np.eye(num_splines + 4), 3)
    return splines(np.minimum(relative, 1.0))[..., 1 : num_splines + 1]


def spline_penalty(num_splines):
    """Sum of squared second differences of the coefficients, as a matrix."""
    difference = np.diff(np.eye(num_splines), n=2, axis=0)
    return difference.T @ difference
