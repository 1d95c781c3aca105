"""Wave vectors: band paths and grids, in fractional coordinates."""

import dataclasses

import numpy as np
from ase.dft.kpoints import parse_path_string

from keras_hamiltonian.messages import counted
from keras_hamiltonian.parallel import ordered_map

# Orbitals reach 4-5 Å: atoms apart by more than this share no matrix element.
VACUUM_IN_ANGSTROM = 10.0
# Points times height of the cell of a default grid.
GRID_LENGTH_IN_ANGSTROM = 30.0
# Of such a grid.
MOST_POINTS = 50_000


@dataclasses.dataclass
class KPath:
    """Wave vectors along a path.

    Attributes:
        k_points: `(num_points, 3)` array, fractional.
        distances: `(num_points,)` array. Length of the path so far, in 1/Å
            with the factor 2π; it does not grow where the path jumps.
        labels: list of `(position in k_points, name)`.
    """

    k_points: np.ndarray
    distances: np.ndarray
    labels: list

    @classmethod
    def from_points(cls, k_points, cell, labels=()):
        """A path through the given wave vectors, without jumps.

        Args:
            k_points: `(num_points, 3)` array, fractional.
            cell: `(3, 3)` array. Rows are the lattice vectors, in Å.
            labels: iterable of `(position in k_points, name)`.
        """
        k_points = np.asarray(k_points, dtype=np.float64).reshape(-1, 3)
        lengths = _length(np.diff(k_points, axis=0), cell)
        distances = np.concatenate([[0.0], np.cumsum(lengths)])
        return cls(k_points, distances, [(int(n), str(t)) for n, t in labels])

    def __len__(self):
        return len(self.k_points)

    def __repr__(self):
        names = "-".join(name for _, name in self.labels)
        return f"KPath({names or 'no names'}, {len(self)} wave vectors)"


def k_path(atoms, path=None, num_points=120, periodic=None):
    """A path between points of high symmetry of the given cell.

    The special points are those of the lattice's own Brillouin zone, written
    in the reciprocal vectors of the cell as it is (a hexagonal cell may have
    an angle of 60° or 120°). A layer with vacuum gets the path of its plane.

    Args:
        atoms: `ase.Atoms`.
        path: str such as `"GMKG"` (a comma is a jump), or a list of
            `(name, fractional point)`. Defaults to the lattice's standard
            path.
        num_points: int. Approximate number of wave vectors, corners included.
        periodic: `(3,)` bools. Directions with dispersion, such as
            `BlochMatrices.periodic`. By default those of `atoms.pbc` without a
            vacuum of 10 Å.

    Returns:
        `KPath`.

    Raises:
        ValueError: for an unknown name, or a path of fewer than two points.

    Example:

    >>> import ase.build
    >>> k_path(ase.build.graphene(vacuum=10)).labels
    [(0, 'G'), (44, 'M'), (69, 'K'), (119, 'G')]
    """
    if periodic is None:
        periodic = periodic_directions(atoms)
    stretches = _corners(atoms, path, np.asarray(periodic, dtype=bool))
    cell = np.asarray(atoms.cell.complete())
    total = sum(
        _length(np.diff(points, axis=0), cell).sum() for _, points in stretches
    )
    if not total > 0:
        raise ValueError(
            f"A path needs two different points. Received: path={path!r} for "
            f"a crystal that is periodic along {np.flatnonzero(periodic)}."
        )
    k_points, distances, labels = [], [], []
    travelled = 0.0
    for names, points in stretches:
        labels.append((len(k_points), names[0]))
        k_points.append(points[0])
        distances.append(travelled)
        for name, start, stop in zip(names[1:], points[:-1], points[1:]):
            length = float(_length(stop - start, cell))
            steps = max(1, round((num_points - 1) * length / total))
            fractions = np.arange(1, steps + 1) / steps
            k_points.extend(start + f * (stop - start) for f in fractions)
            distances.extend(travelled + f * length for f in fractions)
            travelled += length
            labels.append((len(k_points) - 1, name))
    return KPath(np.array(k_points), np.array(distances), labels)


def periodic_directions(atoms, vacuum=VACUUM_IN_ANGSTROM):
    """Lattice directions of `atoms.pbc` without a gap free of atoms.

    Args:
        atoms: `ase.Atoms`.
        vacuum: float. Height of a gap, in Å, that electrons do not cross.

    Returns:
        `(3,)` bool array.
    """
    # A direction without a lattice vector is completed, and never periodic.
    reciprocal = np.linalg.inv(np.asarray(atoms.cell.complete())).T
    heights = 1 / np.linalg.norm(reciprocal, axis=1)
    fractional = np.sort(atoms.positions @ reciprocal.T % 1.0, axis=0)
    around = np.vstack([fractional, fractional[:1] + 1.0])
    gaps = np.diff(around, axis=0).max(axis=0) * heights
    return atoms.pbc & atoms.cell.any(1) & (gaps < vacuum)


def monkhorst_pack(size, gamma_centered=False):
    """A regular grid of wave vectors.

    Args:
        size: three ints. Points along each reciprocal vector.
        gamma_centered: bool. Puts a point on Γ; otherwise the grid is
            symmetric about Γ, which an even size leaves out.

    Returns:
        `(product of size, 3)` array, fractional, in (-1/2, 1/2].

    Example:

    >>> monkhorst_pack([2, 1, 1])
    array([[-0.25,  0.  ,  0.  ],
           [ 0.25,  0.  ,  0.  ]])
    """
    size = np.asarray(size, dtype=int)
    if size.shape != (3,) or (size < 1).any():
        raise ValueError(
            f"A grid needs three positive sizes. Received: {size.tolist()}."
        )
    # ASE's grid, moved by half a step to centre it, misses Γ by a rounding
    # error; then H(Γ) would be complex.
    axes = [
        (np.arange(n) - (n - 1) // 2) / n
        if gamma_centered
        else (2 * np.arange(n) - n + 1) / (2 * n)
        for n in size
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def k_grid(atoms, length=GRID_LENGTH_IN_ANGSTROM):
    """Sizes of a grid of wave vectors, such as that of the Fermi level.

    Args:
        atoms: `ase.Atoms`.
        length: float. Points times height of the cell, in Å.

    Returns:
        Three ints: the length over the height of the cell, rounded up to an
        odd number; 1 along vacuum.

    Raises:
        ValueError: if they are more than 50 000 points, as in a cell that is
            skewed by hundreds.
    """
    heights = 1 / np.linalg.norm(atoms.cell.complete().reciprocal(), axis=1)
    sizes = np.ceil(length / heights).astype(int)
    sizes += 1 - sizes % 2
    sizes = np.where(periodic_directions(atoms), sizes, 1)
    if np.prod(sizes.astype(float)) > MOST_POINTS:
        raise ValueError(
            f"The cell asks for a grid of {' x '.join(map(str, sizes))} wave "
            "vectors, because it is tiny or far from a reduced one. Reduce it: "
            "ase.geometry.minkowski_reduce(atoms.cell, atoms.pbc). Received: "
            f"{np.asarray(atoms.cell).tolist()}."
        )
    return tuple(sizes.tolist())


def _corners(atoms, path, periodic):
    """Stretches between jumps: lists of (names, points)."""
    if path is not None and not isinstance(path, str):
        names = [str(name) for name, _ in path]
        return [(names, np.array([p for _, p in path], dtype=np.float64))]
    if not periodic.any():
        raise ValueError(
            "No direction of the crystal is periodic: its only wave vector is "
            "Γ. Solve it with `solve_bands(matrices, [[0, 0, 0]])`."
        )
    # A lattice direction without a vector (a molecule's cell) is completed.
    standard = atoms.cell.complete().bandpath(npoints=0, pbc=periodic)
    special = standard.special_points
    stretches = []
    for names in parse_path_string(path or standard.path):
        unknown = sorted(set(names) - set(special))
        if unknown:
            raise ValueError(
                f"The path {path!r} names {', '.join(unknown)}; this lattice "
                f"has {', '.join(sorted(special))}. In Python `path` may be a "
                'list of other points, [("G", (0, 0, 0)), ("A", (0.2, 0, 0))].'
            )
        stretches.append((names, np.array([special[n] for n in names])))
    return stretches


def _length(steps, cell):
    """Cartesian length of fractional steps, in 1/Å."""
    reciprocal = 2 * np.pi * np.linalg.inv(np.asarray(cell)).T
    return np.linalg.norm(steps @ reciprocal, axis=-1)


def solve_k_points(solve, matrices, k_points, workers=1, **options):
    """What a function finds at each of many wave vectors.

    Args:
        solve: function of a module: `lowest_states`, `nearest_states`,
            `states_in_window`, or another one that is called as
            `solve(matrices, k_point, **options)`. Coefficients of many wave
            vectors would fill the memory.
        matrices: `BlochMatrices`.
        k_points: `(num_k, 3)` array, fractional.
        workers: int. Processes, see `kh.parallel.ordered_map`. With 1 there are
            as many BLAS threads as this process has.
        **options: of the function.

    Returns:
        List of what the function returned, in the order of `k_points`.

    Raises:
        ValueError: like the function, or if a worker dies.
    """
    k_points = list(k_points)
    shared = matrices, solve, options
    found = ordered_map(_solve, k_points, *shared, workers=workers)
    return list(counted(found, "states", "wave vectors", len(k_points)))


def _solve(k_point, matrices, solve, options):
    return solve(matrices, k_point, **options)
