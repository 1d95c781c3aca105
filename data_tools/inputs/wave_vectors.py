"""Grids of wave vectors of equal density."""

import numpy as np

# A grid may be this much coarser, in points.
TOLERANCE = 0.1


def same_density(grid, cell, other):
    """The grid for another cell, at least as dense as that for the first.

    Along a direction with one wave vector, as across a vacuum, one stays
    unless the other cell is shorter than two thirds of the first.

    Args:
        grid: three ints.
        cell, other: `(3, 3)` lattice vectors, rows.

    Returns:
        List of three ints.

    Example:

    >>> same_density([4, 4, 1], np.diag([3, 3, 9]), np.diag([2, 5, 8]))
    [6, 3, 1]
    """
    ratios = np.linalg.norm(np.linalg.inv(other), axis=0)
    ratios /= np.linalg.norm(np.linalg.inv(cell), axis=0)
    wanted = np.asarray(grid) * ratios
    found = np.where(
        np.asarray(grid) == 1, np.rint(wanted), np.ceil(wanted - TOLERANCE)
    )
    return np.maximum(found, 1).astype(int).tolist()
