"""Points of a block of the grid, and orbitals there, in compiled loops."""

import numba
import numpy as np

from keras_hamiltonian.superposition.grid import FINE_STEP
from keras_hamiltonian.superposition.harmonics import fill_harmonics


@numba.njit(nogil=True, cache=True)
def block_points(values, low, vectors):
    """Points of a block, those with V < 0 first, and `sqrt(|V|)` there.

    Points with V = 0 are left out.

    Args:
        values: `(n1, n2, n3)` array, V.
        low: `(3,)` int array. The first point.
        vectors: `(3, 3)` array, of the grid.

    Returns:
        `(3, num_points)` and `(num_points,)` arrays, and the number with
        V < 0.
    """
    negative = positive = 0
    for value in values.flat:
        negative += value < 0.0
        positive += value > 0.0
    points = np.empty((3, negative + positive))
    weights = np.empty(negative + positive)
    before, after = 0, negative
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            for k in range(values.shape[2]):
                value = values[i, j, k]
                if value < 0.0:
                    place = before
                    before += 1
                elif value > 0.0:
                    place = after
                    after += 1
                else:
                    continue
                weights[place] = np.sqrt(abs(value))
                for axis in range(3):
                    points[axis, place] = (
                        (low[0] + i) * vectors[0, axis]
                        + (low[1] + j) * vectors[1, axis]
                        + (low[2] + k) * vectors[2, axis]
                    )
    return points, weights, negative


@numba.njit(nogil=True, cache=True)
def touches(points, centres, reach):
    """Which spheres hold any of `(3, n)` points: bool array."""
    found = np.zeros(len(centres), dtype=np.bool_)
    for n in range(len(centres)):
        for p in range(points.shape[1]):
            x = points[0, p] - centres[n, 0]
            y = points[1, p] - centres[n, 1]
            z = points[2, p] - centres[n, 2]
            if x * x + y * y + z * z < reach[n] * reach[n]:
                found[n] = True
                break
    return found


@numba.njit(nogil=True, cache=True, fastmath=True)
def fill_orbitals(
    orbitals, points, weights, centre, radius, degrees, table, work
):
    """Orbitals of an atom at points, times a weight of each point.

    Loops over points are the inner ones, for the processor's vectors.

    Args:
        orbitals: `(num_orbitals, num_points)` array, which is overwritten.
        points, weights: of `block_points`.
        centre: `(3,)` array, of the atom.
        radius: float. Where the orbitals end.
        degrees: int array of the shells; what follows -1 is not read.
        table: `(num_shells, num_steps, 4)` array of `fine_cubics`.
        work: of `work_arrays`, for at least as many points.
    """
    steps, directions, (offsets, inside, radial), harmonics = work
    last, count = table.shape[1] - 1, len(weights)
    x, y, z = directions
    for p in range(count):
        dx = points[0, p] - centre[0]
        dy = points[1, p] - centre[1]
        dz = points[2, p] - centre[2]
        squared = dx * dx + dy * dy + dz * dz
        distance = np.sqrt(squared)
        scale = 1.0 / max(distance, 1e-12)
        x[p], y[p], z[p] = dx * scale, dy * scale, dz * scale
        steps[p] = min(int(distance / FINE_STEP), last)
        offsets[p] = distance - steps[p] * FINE_STEP
        inside[p] = weights[p] if squared < radius * radius else 0.0
    fill_harmonics(x[:count], y[:count], z[:count], degrees.max(), harmonics)
    row = 0
    for shell in range(len(degrees)):
        l = degrees[shell]
        if l < 0:
            break
        cubics = table[shell]
        for p in range(count):
            a, t = cubics[steps[p]], offsets[p]
            value = ((a[3] * t + a[2]) * t + a[1]) * t + a[0]
            radial[p] = inside[p] * value
        for component in range(l * l, (l + 1) ** 2):
            for p in range(count):
                orbitals[row, p] = radial[p] * harmonics[component, p]
            row += 1


@numba.njit(nogil=True, cache=True)
def work_arrays(count, lmax):
    """Memory of `fill_orbitals` for a number of points."""
    a, b = np.empty((3, count)), np.empty((3, count))
    return (
        np.empty(count, dtype=np.int64),
        (a[0], a[1], a[2]),
        (b[0], b[1], b[2]),
        np.empty(((lmax + 1) ** 2, count)),
    )
