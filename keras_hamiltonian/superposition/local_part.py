"""Matrix elements of a local potential, block by block of grid points."""

import numba
import numpy as np

from keras_hamiltonian.superposition.grid import FINE_STEP
from keras_hamiltonian.superposition.grid import fine_cubics
from keras_hamiltonian.superposition.grid import stacked
from keras_hamiltonian.superposition.harmonics import fill_harmonics
from keras_hamiltonian.superposition.images import AtomImages
from keras_hamiltonian.superposition.rank_update import add_square
from keras_hamiltonian.superposition.workers import Buffers

# Grid points along each edge of a block.
BLOCK = 6
# Planes of a slab; with its halo it bounds the memory of fields.
SLAB = 18


class LocalPart:
    """`∫ φ_i V φ_j` on a grid.

    Each block of points gives one symmetric product of the orbitals near it,
    `Σ_p φ_a(p) V(p) φ_b(p)`, with the two signs of V apart.

    Args:
        potential: `SuperposedPotential`.
        pairs: `CrystalPairs`.
        species: list of `Species`, by kind.
    """

    def __init__(self, potential, pairs, species):
        self.potential, self.pairs = potential, pairs
        self.grid = potential.grid
        self.reach = np.array([s.reach for s in species])
        orbitals = [[f.up_to(s.reach) for f in s.orbitals] for s in species]
        self.tables = stacked(
            [fine_cubics(o, s.reach) for o, s in zip(orbitals, species)]
        )
        most = max(len(s.degrees) for s in species)
        self.degrees = np.array(
            [[*s.degrees] + [-1] * (most - len(s.degrees)) for s in species]
        )
        self.images = AtomImages(
            pairs, np.zeros(3), np.ones(3), self.reach.max()
        )
        # From the middle of a block, whose corners may lie on both diagonals.
        edges = 0.5 * (BLOCK - 1) * np.abs(self.grid.vectors)
        self.search = self.reach.max() + np.linalg.norm(edges.sum(axis=0))
        self.buffers = Buffers()

    def entries(self, workers, progress=None):
        """All blocks as the flat entries of `pairs`, in hartree.

        Args:
            workers: `Workers` that share the work.
            progress: function of the fraction done, or `None`.

        Returns:
            `(num_entries,)` array.
        """
        entries = np.zeros(self.pairs.num_entries)
        planes = int(self.grid.numbers[0])
        starts = range(0, planes, SLAB)
        slabs = workers.map(self._slab, starts, ahead=1)
        for start, potential in zip(starts, slabs):
            corners = [
                (i, j, k)
                for i in range(0, len(potential), BLOCK)
                for j in range(0, potential.shape[1], BLOCK)
                for k in range(0, potential.shape[2], BLOCK)
            ]

            def product(corner, start=start, potential=potential):
                return self._product(corner, start, potential)

            for found in workers.map(product, corners):
                if found is not None:
                    self.pairs.add(entries, *found)
                    self.buffers.give(found[0])
            if progress is not None:
                progress(min(1.0, (start + SLAB) / planes))
        entries *= self.grid.volume
        return self.pairs.mirror(entries)

    def _slab(self, start):
        stop = min(start + SLAB, int(self.grid.numbers[0]))
        return self.potential.slab(start, stop)

    def _product(self, corner, start, potential):
        """The product of a block, and the images that are near it."""
        values = potential[tuple(slice(c, c + BLOCK) for c in corner)]
        low = np.array(corner)
        low[0] += start
        vectors = self.grid.vectors
        points, weights, num_negative = _block_points(values, low, vectors)
        if not len(points):
            return None
        half = 0.5 * (np.array(values.shape) - 1)
        images = self.images
        near = images.around((low + half) @ vectors, self.search)
        kinds = self.pairs.kinds[images.atoms[near]]
        touches = _touches(points, images.centres[near], self.reach[kinds])
        near, kinds = near[touches], kinds[touches]
        if not len(near):
            return None
        atoms = images.atoms[near]
        orbitals = self.buffers.take(
            len(points), int(self.pairs.sizes[atoms].sum())
        )
        _fill_orbitals(
            orbitals,
            points,
            weights,
            images.centres[near],
            kinds,
            self.reach,
            self.tables,
            self.degrees,
            self.pairs.sizes[atoms],
        )
        size = orbitals.shape[1]
        product = self.buffers.take(size, size)
        add_square(product, orbitals[:num_negative], -1.0, 0.0)
        add_square(product, orbitals[num_negative:], 1.0, 1.0)
        self.buffers.give(orbitals)
        return product, atoms, images.shifts[near]


@numba.njit(nogil=True, cache=True)
def _block_points(values, low, vectors):
    """Points of a block, those with V < 0 first, and `sqrt(|V|)` there.

    Points with V = 0 are left out.

    Args:
        values: `(n1, n2, n3)` array, V.
        low: `(3,)` int array. The first point.
        vectors: `(3, 3)` array, of the grid.

    Returns:
        `(num_points, 3)` and `(num_points,)` arrays, and the number with
        V < 0.
    """
    points = np.empty((values.size, 3))
    weights = np.empty(values.size)
    count = num_negative = 0
    for is_positive in (False, True):
        for i in range(values.shape[0]):
            for j in range(values.shape[1]):
                for k in range(values.shape[2]):
                    value = values[i, j, k]
                    if value == 0.0 or (value > 0.0) != is_positive:
                        continue
                    for axis in range(3):
                        points[count, axis] = (
                            (low[0] + i) * vectors[0, axis]
                            + (low[1] + j) * vectors[1, axis]
                            + (low[2] + k) * vectors[2, axis]
                        )
                    weights[count] = np.sqrt(abs(value))
                    count += 1
        if not is_positive:
            num_negative = count
    return points[:count], weights[:count], num_negative


@numba.njit(nogil=True, cache=True)
def _touches(points, centres, reach):
    """Which spheres hold any of the points."""
    found = np.zeros(len(centres), dtype=np.bool_)
    for n in range(len(centres)):
        for p in range(len(points)):
            x = points[p, 0] - centres[n, 0]
            y = points[p, 1] - centres[n, 1]
            z = points[p, 2] - centres[n, 2]
            if x * x + y * y + z * z < reach[n] * reach[n]:
                found[n] = True
                break
    return found


@numba.njit(nogil=True, cache=True, fastmath=True)
def _fill_orbitals(
    orbitals, points, weights, centres, kinds, reach, tables, degrees, sizes
):
    """Orbitals of some atoms at points, times a weight of each point."""
    harmonics = np.empty((degrees.max() + 1) ** 2)
    last_step = tables.shape[1] - 1
    first = 0
    for n in range(len(centres)):
        kind = kinds[n]
        radius, shells = reach[kind], degrees[kind]
        highest = shells.max()
        for p in range(len(points)):
            x = points[p, 0] - centres[n, 0]
            y = points[p, 1] - centres[n, 1]
            z = points[p, 2] - centres[n, 2]
            squared = x * x + y * y + z * z
            if squared >= radius * radius:
                orbitals[p, first : first + sizes[n]] = 0.0
                continue
            distance = np.sqrt(squared)
            scale = 1.0 / distance if distance > 1e-12 else 0.0
            fill_harmonics(x * scale, y * scale, z * scale, highest, harmonics)
            step = min(int(distance / FINE_STEP), last_step)
            t = distance - step * FINE_STEP
            column = first
            for shell in range(len(shells)):
                l = shells[shell]
                if l < 0:
                    break
                a = tables[kind, step, shell]
                value = ((a[3] * t + a[2]) * t + a[1]) * t + a[0]
                value *= weights[p]
                for m in range(2 * l + 1):
                    orbitals[p, column] = value * harmonics[l * l + m]
                    column += 1
        first += sizes[n]
