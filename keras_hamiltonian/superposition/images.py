"""Periodic images of atoms near a region."""

import numpy as np
from scipy.spatial import cKDTree


class AtomImages:
    """The images of the chosen atoms of a crystal within a distance of a box.

    Args:
        pairs: `CrystalPairs`.
        low, high: `(3,)` arrays. Corners of the box, fractional.
        distance: float, bohr.
    """

    def __init__(self, pairs, low, high, distance):
        self.pairs = pairs
        inverse = np.linalg.inv(pairs.cell)
        margin = distance * np.linalg.norm(inverse, axis=0)
        low, high = low - margin, high + margin
        fractional = pairs.positions @ inverse
        first = np.floor(low - fractional.max(axis=0)).astype(int)
        last = np.ceil(high - fractional.min(axis=0)).astype(int)
        cells = np.stack(
            np.meshgrid(*map(np.arange, first, last + 1), indexing="ij"),
            axis=-1,
        ).reshape(-1, 3)
        found = []
        for cell in cells:
            places = fractional + cell
            near = ((places >= low) & (places <= high)).all(axis=1)
            atoms = np.flatnonzero(near & pairs.chosen)
            found.append((atoms, np.tile(cell, (len(atoms), 1))))
        self.atoms, self.shifts = map(np.concatenate, zip(*found))
        self.centres = pairs.positions[self.atoms] + self.shifts @ pairs.cell
        self.reach = pairs.reach[self.atoms]
        self.tree = cKDTree(self.centres)

    def around(self, point, distance):
        """Images within a distance of a point: ascending int array."""
        near = self.tree.query_ball_point(point, distance, return_sorted=True)
        return np.array(near, dtype=np.int64)
