"""Which influences of far atoms the cells of a set tell apart.

In a supercell the images of an atom move together, so calculations show the
sum of their influences alone. To first order a block changes by the sum over
atoms of an influence times a displacement. It is unknown for every translation
T of the primitive lattice within the reach, of which a supercell shows one sum
for each class modulo its own lattice. The rank of all sums of all cells is the
number of influences that can be told apart: 3 x 3 cells of graphene give 9, and
19 translations are within 6.35 Å.
"""

import dataclasses
import itertools

import numpy as np
from ase.geometry import minkowski_reduce

# Å by which a translation may miss an atom: noise of 0.05 Å in each of four
# coordinates stays below.
MISSES = 0.5
# Lattices differ by less where they are those of one crystal, strained.
STRAIN = 0.06
# Å³ for each atom; where there is less, lengths are wrong.
SMALLEST_VOLUME = 1.0
# Supercells that are proposed: at most so many shapes, so many times along each
# direction, and of so many atoms, unless those of the set are larger.
NUM_PROPOSED, LONGEST, MODERATE = 4, 6, 40


@dataclasses.dataclass
class Separation:
    """What the cells of one crystal tell apart.

    Attributes:
        names: list of str. The structures.
        primitive: `(3, 3)` array, rows are primitive lattice vectors, Å.
        supercells: list of `(3, 3)` int arrays, each cell once, in primitive
            vectors.
        reach: float, Å.
        num_basis: int. Atoms of the primitive cell.
        num_influences: int. Primitive translations within the reach.
        num_separated: int. Those that the cells tell apart.
        period: float. The shortest lattice vector of all the cells, Å.
    """

    names: list
    primitive: np.ndarray
    supercells: list
    reach: float
    num_basis: int

    def __post_init__(self):
        self.translations = _translations(self.primitive, self.reach)
        self.num_influences = len(self.translations)
        sums = [_sums(self.translations, m) for m in self.supercells]
        self.sums = _independent(np.concatenate(sums))
        self.num_separated = len(self.sums)
        self.period = min(
            float(np.linalg.norm(m @ self.primitive, axis=1).min())
            for m in self.supercells
        )

    @property
    def is_complete(self):
        """Whether all influences within the reach are told apart."""
        return self.num_separated == self.num_influences

    def proposed(self):
        """Small supercells that separate more.

        One after the other, that with the most further influences for its
        atoms; those that later ones make superfluous are left out.

        Returns:
            List of three ints, the repetitions of the primitive vectors: at
            most four, of at most forty atoms, or twice those of the largest
            cell.
        """
        # Longer directions, such as that of a vacuum, need no repetition.
        lengths = np.linalg.norm(self.primitive, axis=1)
        counts = [
            range(1, LONGEST + 1 if d < self.reach else 2) for d in lengths
        ]
        volumes = [abs(round(np.linalg.det(m))) for m in self.supercells]
        largest = max(2 * max(volumes), MODERATE // self.num_basis)
        sizes = [n for n in itertools.product(*counts) if np.prod(n) <= largest]
        sums = [_sums(self.translations, np.diag(n)) for n in sizes]
        found, known = {}, self.sums
        while len(known) < self.num_influences and len(found) < NUM_PROPOSED:
            gains = [len(_independent(s, known)) for s in sums]
            per_atom = [g / np.prod(n) for g, n in zip(gains, sizes)]
            best = int(np.argmax(per_atom))
            if not gains[best]:
                break
            found[sizes[best]] = sums[best]
            more = _independent(sums[best], known)
            known = np.concatenate([known, more])
        for size in list(found):
            others = [s for other, s in found.items() if other != size]
            left = _independent(np.concatenate([self.sums, *others]))
            if len(left) == len(known):
                del found[size]
        return list(found)

    def to_dict(self):
        """Numbers, JSON-ready."""
        return {
            "num_structures": len(self.names),
            "reach": self.reach,
            "period": self.period,
            "num_influences": self.num_influences,
            "num_separated": self.num_separated,
            "proposed": [[int(k) for k in n] for n in self.proposed()],
        }

    def describe(self):
        """What the cells do not tell apart, and what would, in words."""
        first, *others = self.names
        known = f"{1 + len(others)} structures ({first}, ...)"
        if not others:
            known = f"one structure ({first})"
        if self.is_complete:
            return f"Cells of {known} tell the images of an atom apart."
        proposed = [
            f"{' x '.join(map(str, n))} ({int(np.prod(n)) * self.num_basis} "
            "atoms)"
            for n in self.proposed()
        ]
        return (
            f"In the cells of {known} images of an atom, {self.period:.1f} Å "
            f"apart, move together: of {self.num_influences} primitive "
            f"translations within the {self.reach:.1f} Å of a pair of orbitals "
            f"{self.num_separated} are told apart, and errors on larger cells "
            "can be several times those on cells like these. A few "
            "calculations of small supercells of the primitive cell tell "
            f"more: {', '.join(proposed) or 'larger ones'}. See "
            "docs/larger_cells.md."
        )


def separations(structures, reach):
    """What the cells of each crystal among some structures tell apart.

    Args:
        structures: iterable of `(name, atoms)`.
        reach: float. How far the influence of an atom is looked at, Å: twice
            the reach of the orbitals.

    Returns:
        List of `Separation`, one for each crystal.
    """
    shapes = {}
    for name, atoms in structures:
        if not _is_crystal(atoms):
            continue
        key = tuple(np.rint(np.ravel(atoms.cell) / MISSES).astype(int))
        key += tuple(sorted(atoms.get_chemical_symbols()))
        shapes.setdefault(key, (atoms, []))[1].append(name)
    crystals = []
    for atoms, names in shapes.values():
        primitive, cell = primitive_cell(atoms), minkowski_reduce(atoms.cell)[0]
        kind = _composition(atoms, primitive)
        for known in crystals:
            if known[0] == kind and _are_alike(primitive, known[1]):
                break
        else:
            known = kind, primitive, [], []
            crystals.append(known)
        known[2].append(np.rint(cell @ np.linalg.inv(known[1])).astype(int))
        known[3].extend(names)
    return [
        Separation(names, primitive, cells, reach, sum(kind.values()))
        for kind, primitive, cells, names in crystals
    ]


def primitive_cell(atoms):
    """The smallest cell of which a structure is a supercell, noise aside.

    Args:
        atoms: `ase.Atoms` with three lattice vectors. Atoms may be up to half
            an Å away from their places.

    Returns:
        `(3, 3)` array, rows are lattice vectors in Å, shortest first.
    """
    cell, numbers = minkowski_reduce(atoms.cell)[0], atoms.numbers
    places = atoms.positions @ np.linalg.inv(cell)
    species, counts = np.unique(numbers, return_counts=True)
    rarest = np.flatnonzero(numbers == species[counts.argmin()])
    found = []
    for atom in rarest:
        step = _translation(
            places, numbers, cell, places[atom] - places[rarest[0]]
        )
        if step is not None:
            found.append(step)
    # The group of translations modulo the lattice: fractions of its order.
    order = len(found)
    steps = np.rint(np.array(found) * order) / order
    shifts = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    vectors = (steps[:, None] + shifts).reshape(-1, 3) @ cell
    return _shortest_basis(vectors)


def _translation(places, numbers, cell, step):
    """A step in fractions of the cell that moves atoms onto atoms, their mean;
    `None` if it does not."""
    total = np.zeros(3)
    for place, number in zip(places, numbers):
        others = places[numbers == number] - place - step
        others -= np.rint(others)
        lengths = np.linalg.norm(others @ cell, axis=1)
        if lengths.min() > MISSES:
            return None
        total += others[lengths.argmin()]
    return step + total / len(places)


def _shortest_basis(vectors):
    """Shortest vectors that are independent: a basis, in three dimensions."""
    basis = np.zeros((0, 3))
    for vector in vectors[
        np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")
    ]:
        more = np.vstack([basis, vector])
        if np.linalg.svd(more, compute_uv=False)[-1] > 0.1:
            basis = more
        if len(basis) == 3:
            break
    return basis


def _is_crystal(atoms):
    places = np.concatenate([atoms.positions, atoms.cell])
    is_sound = np.isfinite(places).all() and atoms.cell.rank == 3
    return is_sound and atoms.get_volume() > len(atoms) * SMALLEST_VOLUME


def _composition(atoms, primitive):
    share = abs(np.linalg.det(primitive)) / atoms.get_volume()
    symbols, counts = np.unique(
        atoms.get_chemical_symbols(), return_counts=True
    )
    return {str(s): round(n * share) for s, n in zip(symbols, counts)}


def _are_alike(primitive, known):
    steps = primitive @ np.linalg.inv(known)
    whole = np.rint(steps)
    is_basis = abs(abs(np.linalg.det(whole)) - 1) < 0.5
    return is_basis and np.abs(steps - whole).max() < STRAIN


def _translations(primitive, reach):
    """Lattice vectors within the reach, in whole numbers."""
    heights = 1 / np.linalg.norm(np.linalg.inv(primitive), axis=0)
    counts = [range(-n, n + 1) for n in (reach // heights).astype(int)]
    steps = np.array(list(itertools.product(*counts)))
    return steps[np.linalg.norm(steps @ primitive, axis=1) < reach]


def _sums(translations, supercell):
    """Which translations a supercell shows the sums of: rows of 0 and 1."""
    order = abs(round(np.linalg.det(supercell)))
    places = np.rint(translations @ np.linalg.inv(supercell) * order)
    places = places.astype(int) % order
    classes = np.unique(places, axis=0, return_inverse=True)[1].ravel()
    return np.eye(classes.max() + 1)[:, classes]


def _independent(rows, known=None):
    """An orthonormal basis of what rows have beyond known ones."""
    if known is not None:
        rows = rows - rows @ known.T @ known
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    return basis[sizes > 1e-6]
