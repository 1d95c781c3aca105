"""What OpenMX printed of the raw files in `tests/data`."""

import gzip
import pathlib

import numpy as np

DATA = pathlib.Path(__file__).parent / "data"
NAMES = ("graphene_prim", "bismuthene_prim_soc")


def printed_bands(name):
    """Chemical potential, k points and eigenvalues of OpenMX's `.Band`."""
    with gzip.open(DATA / f"{name}.Band.gz", "rt") as file:
        lines = [np.array(line.split()) for line in file]
    rows = lines[3 + int(lines[2][0]) :]
    k_points = np.array([row[1:4] for row in rows[::2]], dtype=float)
    return float(lines[0][2]), k_points, np.array(rows[1::2], dtype=float)
