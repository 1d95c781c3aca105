"""Indices and counts that come from files."""

import numpy as np

# Lattice translations, orbitals and pairs are far below it.
LARGEST = 2**31 - 1


def whole_numbers(values, what, lowest=-LARGEST, highest=LARGEST):
    """An array of whole numbers within bounds.

    Args:
        values: array of an integer type, or nested lists of int.
        what: str. What they are, for the error.
        lowest, highest: int.

    Returns:
        int64 array of the same shape.

    Raises:
        ValueError: if they are of another type, fractions above all, or one is
            out of bounds.

    Example:

    >>> whole_numbers([[0, 1]], "cells")
    array([[0, 1]])
    """
    values = np.asarray(values)
    if values.size == 0:
        return values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise ValueError(
            f"The {what} are whole numbers. Received: {values.dtype}, such as "
            f"{values.ravel()[0]!r}."
        )
    low, high = int(values.min()), int(values.max())
    if low < lowest or high > highest:
        raise ValueError(
            f"The {what} go from {low} to {high}; expected {lowest} to "
            f"{highest}."
        )
    return values.astype(np.int64)
