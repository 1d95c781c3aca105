"""Matrix elements of a local potential, block by block of grid points."""

import numba
import numpy as np

from keras_hamiltonian.superposition.grid import FINE_STEP
from keras_hamiltonian.superposition.grid import fine_cubics
from keras_hamiltonian.superposition.grid import stacked
from keras_hamiltonian.superposition.harmonics import fill_harmonics
from keras_hamiltonian.superposition.images import AtomImages
from keras_hamiltonian.superposition.workers import ordered_map

# Grid points along each edge of a block.
BLOCK = 8
# Planes of a slab; with its halo it bounds the memory of fields.
SLAB = 16


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

    def entries(self, pool=None, progress=None):
        """All blocks as the flat entries of `pairs`, in hartree.

        Args:
            pool: executor whose threads share the work, or `None`.
            progress: function of the fraction done, or `None`.

        Returns:
            `(num_entries,)` array, and the number of valence electrons that
            the grid sees.
        """
        entries = np.zeros(self.pairs.num_entries)
        electrons, planes = 0.0, int(self.grid.numbers[0])
        starts = range(0, planes, SLAB)
        slabs = ordered_map(self._slab, starts, pool)
        for start, (potential, inside) in zip(starts, slabs):
            electrons += inside
            corners = [
                (i, j, k)
                for i in range(0, len(potential), BLOCK)
                for j in range(0, potential.shape[1], BLOCK)
                for k in range(0, potential.shape[2], BLOCK)
            ]

            def product(corner, start=start, potential=potential):
                return self._product(corner, start, potential)

            for found in ordered_map(product, corners, pool):
                if found is not None:
                    self.pairs.add(entries, *found)
            if progress is not None:
                progress(min(1.0, (start + SLAB) / planes))
        return self.pairs.mirror(entries), electrons

    def _slab(self, start):
        stop = min(start + SLAB, int(self.grid.numbers[0]))
        return self.potential.slab(start, stop)

    def _product(self, corner, start, potential):
        """The product of a block, and the images that are near it."""
        values = potential[tuple(slice(c, c + BLOCK) for c in corner)]
        inside = np.argwhere(values)
        if not len(inside):
            return None
        values = values[tuple(inside.T)]
        order = np.argsort(values > 0, kind="stable")
        values, inside = values[order], inside[order] + corner
        inside[:, 0] += start
        points = inside @ self.grid.vectors
        centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
        radius = np.sqrt(((points - centre) ** 2).sum(axis=1).max())
        images = self.images
        near = images.around(centre, self.reach.max() + radius)
        kinds = self.pairs.kinds[images.atoms[near]]
        touches = _touches(points, images.centres[near], self.reach[kinds])
        near, kinds = near[touches], kinds[touches]
        if not len(near):
            return None
        atoms = images.atoms[near]
        orbitals = np.zeros((len(points), self.pairs.sizes[atoms].sum()))
        _fill_orbitals(
            orbitals,
            points,
            np.sqrt(np.abs(values) * self.grid.volume),
            images.centres[near],
            kinds,
            self.reach,
            self.tables,
            self.degrees,
        )
        negative = int((values < 0).sum())
        below, above = orbitals[:negative], orbitals[negative:]
        product = above.T @ above
        if negative:
            product -= below.T @ below
        return product, atoms, images.shifts[near]


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
    orbitals, points, weights, centres, kinds, reach, tables, degrees
):
    """Orbitals of some atoms at points, times a weight of each point."""
    lmax = degrees.max()
    harmonics = np.empty((lmax + 1) ** 2)
    column = 0
    for n in range(len(centres)):
        kind = kinds[n]
        radius, shells = reach[kind], degrees[kind]
        highest = shells.max()
        first = column
        for p in range(len(points)):
            x = points[p, 0] - centres[n, 0]
            y = points[p, 1] - centres[n, 1]
            z = points[p, 2] - centres[n, 2]
            squared = x * x + y * y + z * z
            if squared >= radius * radius:
                continue
            distance = np.sqrt(squared)
            scale = 1.0 / distance if distance > 1e-12 else 0.0
            fill_harmonics(x * scale, y * scale, z * scale, highest, harmonics)
            step = min(int(distance / FINE_STEP), tables.shape[1] - 1)
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
        column = first
        for l in shells:
            column += 2 * l + 1 if l >= 0 else 0
