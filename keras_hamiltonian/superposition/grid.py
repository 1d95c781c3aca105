"""The real-space grid, and potentials of superposed atoms on slabs of it."""

import dataclasses

import numba
import numpy as np
from scipy.interpolate import CubicSpline

from keras_hamiltonian.superposition.functionals import derivatives
from keras_hamiltonian.superposition.libxc import LibxcFunctional

# Points per lattice vector are products of these.
PRIMES = (2, 3, 5, 7)
# bohr; radial functions on the grid are cubics on a mesh as fine as this.
FINE_STEP = 0.005
# bohr^-3. Where the valence density is below, V_xc is zero.
LEAST_DENSITY = 1e-14
# Planes beside a slab that the divergence of a gradient needs.
HALO = 2


@dataclasses.dataclass(frozen=True, eq=False)
class RealSpaceGrid:
    """Points at integer multiples of the grid vectors, from the origin.

    The grid turns with the cell. H and H⁰ of one grid have the same errors,
    which cancel in the difference: keep the cut-off of the data.

    Attributes:
        numbers: `(3,)` int array. Points along each lattice vector.
        vectors: `(3, 3)` array. Grid vectors as rows, bohr.
    """

    numbers: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of_cutoff(cls, cell, cutoff):
        """As fine as plane waves of an energy ask for.

        Args:
            cell: `(3, 3)` array, bohr.
            cutoff: float, rydberg. The product of 2, 3, 5 and 7 whose
                logarithm is nearest to that of `height sqrt(cutoff) / π` is
                taken along each lattice vector, as in OpenMX.
        """
        wanted = _heights(cell) * np.sqrt(cutoff) / np.pi
        known = np.array(sorted(_products(int(4 * wanted.max()) + 8)))
        distance = np.abs(np.log(known) - np.log(wanted)[:, None])
        numbers = known[distance.argmin(axis=1)]
        return cls(numbers, np.asarray(cell) / numbers[:, None])

    @property
    def volume(self):
        """Volume of one point, bohr³."""
        return float(abs(np.linalg.det(self.vectors)))

    @property
    def inverse(self):
        """Cartesian to grid coordinates: `positions @ inverse`."""
        return np.linalg.inv(self.vectors)


def _heights(cell):
    """Distances of opposite faces of a cell."""
    return 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)


def _products(largest):
    found = {1}
    for prime in PRIMES:
        for number in sorted(found):
            while number <= largest:
                found.add(number)
                number *= prime
    return found


def fine_cubics(functions, reach):
    """Radial functions as cubics on steps of `FINE_STEP` up to a reach.

    Args:
        functions: list of `RadialFunction`; `None` is zero.
        reach: float, bohr.

    Returns:
        `(num_functions, num_steps, 4)` array, constant term first.
    """
    size = int(np.ceil(reach / FINE_STEP - 1e-9))
    r = FINE_STEP * np.arange(size + 1)
    columns = [0 * r if f is None else f(r) for f in functions]
    cubics = CubicSpline(r, np.stack(columns, axis=1)).c
    return np.ascontiguousarray(cubics[::-1].transpose(2, 1, 0))


def stacked(tables):
    """Tables of several kinds of atoms as one array, padded with zeros."""
    shape = np.max([table.shape for table in tables], axis=0)
    padded = np.zeros((len(tables), *shape))
    for kind, table in enumerate(tables):
        padded[(kind, *map(slice, table.shape))] = table
    return padded


class SuperposedPotential:
    """V_xc of the superposed densities, and the neutral-atom potentials.

    Args:
        grid: `RealSpaceGrid`.
        pairs: `CrystalPairs`.
        species: list of `Species`, by kind.
        functional: int or `LibxcFunctional`, see `find_functional`.
        has_neutral_atoms: bool. Whether V_NA is added.
    """

    def __init__(self, grid, pairs, species, functional, has_neutral_atoms):
        self.grid, self.functional = grid, functional
        self.kinds = pairs.kinds
        self.has_neutral_atoms = has_neutral_atoms
        self.origins = pairs.positions @ grid.inverse
        self.reach = np.array([s.field_reach for s in species])
        self.tables = stacked(
            [
                fine_cubics(
                    [
                        s.valence_density,
                        s.core_density,
                        s.neutral_atom_potential,
                    ],
                    s.field_reach,
                )
                for s in species
            ]
        )

    def fields(self, start, stop):
        """Superposed radial functions on planes of the first lattice vector.

        Args:
            start, stop: int. The planes; those outside the cell are images.

        Returns:
            `(3, stop - start, N2, N3)` array: valence and core density in
            bohr^-3, neutral-atom potentials in hartree.
        """
        grid = self.grid
        fields = np.zeros((3, stop - start, *grid.numbers[1:]))
        superpose(
            fields,
            start,
            grid.numbers,
            grid.vectors,
            grid.inverse,
            self.origins,
            self.kinds,
            self.reach,
            self.tables,
        )
        return fields

    def slab(self, start, stop):
        """The potential on planes: `(stop - start, N2, N3)`, hartree."""
        valence, core, neutral_atoms = self.fields(start - HALO, stop + HALO)
        core += valence
        if not self.has_neutral_atoms:
            neutral_atoms[:] = 0.0
        fields = valence, core, self.grid.inverse
        if isinstance(self.functional, LibxcFunctional):
            self.functional.add_potential(neutral_atoms, *fields, LEAST_DENSITY)
        else:
            _add_exchange_correlation(neutral_atoms, self.functional, *fields)
        return neutral_atoms[HALO:-HALO].copy()


@numba.njit(nogil=True, cache=True, fastmath=True)
def superpose(
    fields, start, numbers, vectors, inverse, origins, kinds, reach, tables
):
    """Adds radial functions of all atoms and their periodic images.

    Args:
        fields: `(F, planes, N2, N3)` array, which is changed. The planes are
            not periodic, the other axes are.
        start: int. The first plane.
        numbers, vectors, inverse: of the grid.
        origins: `(N, 3)` array. Atoms in grid coordinates.
        kinds: `(N,)` int array.
        reach: `(K,)` array, bohr.
        tables: `(K, F, steps, 4)` array of `fine_cubics`.
    """
    num_planes, n2 = fields.shape[1:3]
    widths = np.sqrt((inverse**2).sum(axis=0))
    c = vectors[2]
    cc = (c * c).sum()
    for atom in range(len(origins)):
        kind = kinds[atom]
        radius = reach[kind]
        f1, f2, f3 = origins[atom]
        w1, w2 = radius * widths[0], radius * widths[1]
        first = int(np.ceil((start - w1 - f1) / numbers[0]))
        last = int(np.floor((start + num_planes + w1 - f1) / numbers[0]))
        for image in range(first, last + 1):
            g1 = f1 + image * numbers[0]
            low = max(int(np.ceil(g1 - w1)), start)
            high = min(int(np.floor(g1 + w1)) + 1, start + num_planes)
            for i in range(low, high):
                for j in range(
                    int(np.ceil(f2 - w2)), int(np.floor(f2 + w2)) + 1
                ):
                    # The line of points p + l c, cut by the sphere.
                    pc = pp = 0.0
                    for axis in range(3):
                        p = (i - g1) * vectors[0, axis]
                        p += (j - f2) * vectors[1, axis] - f3 * c[axis]
                        pc += p * c[axis]
                        pp += p * p
                    root = pc * pc - cc * (pp - radius * radius)
                    if root > 0:
                        root = np.sqrt(root)
                        _superpose_on_line(
                            fields[:, i - start, j % n2],
                            int(np.ceil((-pc - root) / cc)),
                            int(np.floor((-pc + root) / cc)) + 1,
                            (pp, pc, cc),
                            radius,
                            tables[kind],
                        )


@numba.njit(nogil=True, cache=True, fastmath=True)
def _superpose_on_line(lines, start, stop, squares, radius, tables):
    """Adds radial functions at the points `start` to `stop` of a line.

    Args:
        lines: `(F, N3)` array, periodic, which is changed.
        start, stop: ints.
        squares: (a, b, c) with `a + 2 l b + l² c` the squared distance of
            point l.
        radius: float. Beyond it nothing is added.
        tables: `(F, steps, 4)` array.
    """
    a, b, c = squares
    size = lines.shape[1]
    last_step = tables.shape[1] - 1
    offsets = np.empty(stop - start)
    steps = np.empty(stop - start, dtype=np.int64)
    for n in range(stop - start):
        l = start + n
        squared = a + 2 * l * b + l * l * c
        distance = np.sqrt(max(squared, 0.0))
        steps[n] = min(int(distance / FINE_STEP), last_step)
        offsets[n] = distance - steps[n] * FINE_STEP
        if squared >= radius * radius:
            steps[n] = -1
    for f in range(len(lines)):
        line, cubics = lines[f], tables[f]
        l = start % size
        for n in range(stop - start):
            if steps[n] >= 0:
                x, t = cubics[steps[n]], offsets[n]
                line[l] += ((x[3] * t + x[2]) * t + x[1]) * t + x[0]
            l += 1
            if l == size:
                l = 0


@numba.njit(nogil=True, cache=True)
def _add_exchange_correlation(potential, functional, valence, full, inverse):
    """Adds V_xc on all planes but the outer two of each side.

    Central differences along the grid vectors give the gradient and, once
    more, the divergence of the derivative by it.
    """
    planes, n2, n3 = full.shape
    flow = np.zeros((3, planes, n2, n3))
    for i in range(1, planes - 1):
        for j in range(n2):
            j1, j0 = (j + 1) % n2, (j - 1) % n2
            for k in range(n3):
                if valence[i, j, k] < LEAST_DENSITY:
                    continue
                k1, k0 = (k + 1) % n3, (k - 1) % n3
                s1 = 0.5 * (full[i + 1, j, k] - full[i - 1, j, k])
                s2 = 0.5 * (full[i, j1, k] - full[i, j0, k])
                s3 = 0.5 * (full[i, j, k1] - full[i, j, k0])
                squared = 0.0
                for axis in range(3):
                    a, b, c = inverse[axis]
                    slope = a * s1 + b * s2 + c * s3
                    flow[axis, i, j, k] = slope
                    squared += slope * slope
                v1, v2 = derivatives(functional, full[i, j, k], squared)
                potential[i, j, k] += v1
                for axis in range(3):
                    flow[axis, i, j, k] *= v2
    if functional != 0:
        return
    for i in range(2, planes - 2):
        for j in range(n2):
            j1, j0 = (j + 1) % n2, (j - 1) % n2
            for k in range(n3):
                if valence[i, j, k] < LEAST_DENSITY:
                    continue
                k1, k0 = (k + 1) % n3, (k - 1) % n3
                divergence = 0.0
                for axis in range(3):
                    a, b, c = inverse[axis]
                    f = flow[axis]
                    divergence += (
                        a * (f[i + 1, j, k] - f[i - 1, j, k])
                        + b * (f[i, j1, k] - f[i, j0, k])
                        + c * (f[i, j, k1] - f[i, j, k0])
                    )
                # The flow is 2 (df/d|∇n|²) ∇n; differences are over two steps.
                potential[i, j, k] -= divergence
