"""Matrix elements of a local potential, brick by brick of grid points."""

import itertools

import numba
import numpy as np

from keras_hamiltonian.superposition.grid import fine_cubics
from keras_hamiltonian.superposition.grid import stacked
from keras_hamiltonian.superposition.images import AtomImages
from keras_hamiltonian.superposition.orbital_values import block_points
from keras_hamiltonian.superposition.orbital_values import fill_orbitals
from keras_hamiltonian.superposition.orbital_values import touches
from keras_hamiltonian.superposition.orbital_values import work_arrays
from keras_hamiltonian.superposition.rank_update import add_square
from keras_hamiltonian.superposition.workers import Buffers

# Grid points along each edge of a block, of a brick of blocks, and planes of a
# slab of bricks; a slab with its halo bounds the memory of fields.
BLOCK = 6
BRICK = 12
SLAB = 24


class LocalPart:
    """`∫ φ_i V φ_j` on a grid.

    Each block of points gives one symmetric product of the orbitals near it,
    `Σ_p φ_a(p) V(p) φ_b(p)`, with the two signs of V apart. Blocks of one
    brick are summed before they are shared out to the pairs of atoms.

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
        # From the middle of a brick, whose corners may lie on both diagonals.
        edges = 0.5 * (BRICK - 1) * np.abs(self.grid.vectors)
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
        entries = np.zeros((1, self.pairs.num_entries))
        planes = int(self.grid.numbers[0])
        starts = [s for s in range(0, planes, SLAB) if self._meets(s)]
        slabs = workers.map(self._slab, starts, ahead=1)
        for number, (start, potential) in enumerate(zip(starts, slabs), 1):
            corners = itertools.product(
                *(range(0, n, BRICK) for n in potential.shape)
            )

            def brick(corner, start=start, potential=potential):
                return self._brick(corner, start, potential)

            for found in workers.map(brick, corners):
                if found is not None:
                    self.pairs.add(entries, *found)
                    self.buffers.give(found[0])
            if progress is not None:
                progress(number / len(starts))
        entries *= self.grid.volume
        return self.pairs.mirror(entries)[0]

    def _meets(self, start):
        """Whether orbitals reach the planes of a slab."""
        inverse = self.grid.inverse[:, 0]
        places = self.images.centres @ inverse
        reach = self.images.reach * np.linalg.norm(inverse)
        is_above = places + reach > start
        return (is_above & (places - reach < start + SLAB)).any()

    def _slab(self, start):
        stop = min(start + SLAB, int(self.grid.numbers[0]))
        return self.potential.slab(start, stop)

    def _brick(self, corner, start, potential):
        """Sum of the products of a brick, and the images near it."""
        values = potential[tuple(slice(c, c + BRICK) for c in corner)]
        low = np.array(corner)
        low[0] += start
        points, _, _ = block_points(values, low, self.grid.vectors)
        half = 0.5 * (np.array(values.shape) - 1)
        images = self.images
        near = images.around((low + half) @ self.grid.vectors, self.search)
        near = near[touches(points, images.centres[near], images.reach[near])]
        if not len(near):
            return None
        atoms = images.atoms[near]
        size = int(self.pairs.sizes[atoms].sum())
        matrix = self.buffers.take(1, size, size)
        orbitals = self.buffers.take(size, BLOCK**3)
        product = self.buffers.take(size, size)
        add_brick(
            matrix[0],
            orbitals,
            product,
            values,
            low,
            self.grid.vectors,
            images.centres[near],
            self.pairs.kinds[atoms],
            self.pairs.sizes[atoms],
            self.reach,
            self.degrees,
            self.tables,
        )
        self.buffers.give(orbitals)
        self.buffers.give(product)
        ends = np.full(len(near), len(near))
        return matrix, atoms, images.shifts[near], ends


@numba.njit(nogil=True, cache=True)
def add_brick(
    matrix,
    orbitals,
    product,
    values,
    low,
    vectors,
    centres,
    kinds,
    sizes,
    reach,
    degrees,
    tables,
):
    """`Σ_p φ_a(p) V(p) φ_b(p)` of all points of a brick, block by block.

    Args:
        matrix: `(size, size)` array, overwritten from the diagonal on: the
            orbitals of all images.
        orbitals, product: arrays for at least `size BLOCK³` and `size²`
            numbers, which are overwritten.
        values: `(n1, n2, n3)` array, V.
        low: `(3,)` int array. The first point.
        vectors: `(3, 3)` array, of the grid.
        centres, kinds, sizes: positions, kind and number of orbitals of the
            images.
        reach, degrees, tables: by kind, see `fill_orbitals`.
    """
    matrix[:] = 0.0
    starts = np.cumsum(sizes) - sizes
    work = work_arrays(BLOCK**3, degrees.max())
    orbitals = orbitals.reshape(orbitals.size)
    product = product.reshape(product.size)
    corner = np.empty_like(low)
    for i in range(0, values.shape[0], BLOCK):
        for j in range(0, values.shape[1], BLOCK):
            for k in range(0, values.shape[2], BLOCK):
                corner[0], corner[1], corner[2] = i, j, k
                points, weights, num_negative = block_points(
                    values[i : i + BLOCK, j : j + BLOCK, k : k + BLOCK],
                    low + corner,
                    vectors,
                )
                near = np.flatnonzero(touches(points, centres, reach[kinds]))
                if not len(near):
                    continue
                size, count = sizes[near].sum(), len(weights)
                columns = orbitals[: size * count].reshape(size, count)
                first = 0
                for n in near:
                    kind = kinds[n]
                    fill_orbitals(
                        columns[first : first + sizes[n]],
                        points,
                        weights,
                        centres[n],
                        reach[kind],
                        degrees[kind],
                        tables[kind],
                        work,
                    )
                    first += sizes[n]
                square = product[: size * size].reshape(size, size)
                add_square(square, columns, 0, num_negative, -1.0, 0.0)
                add_square(square, columns, num_negative, count, 1.0, 1.0)
                _add_images(matrix, square, starts[near], sizes[near])


@numba.njit(nogil=True, cache=True)
def _add_images(matrix, square, starts, sizes):
    """Adds the product of some images to that of all, upper triangle."""
    first = 0
    for a in range(len(sizes)):
        for u in range(sizes[a]):
            row, here = matrix[starts[a] + u], square[first + u]
            last = first
            for b in range(a, len(sizes)):
                for v in range(sizes[b]):
                    row[starts[b] + v] += here[last + v]
                last += sizes[b]
        first += sizes[a]
