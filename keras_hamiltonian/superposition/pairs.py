"""Pairs of atoms whose orbitals overlap, and the way from images to pairs."""

import numba
import numpy as np
from ase.data import chemical_symbols

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.structures.neighbors import pairs_within

# Å; nearer atoms are one atom that was given twice.
COINCIDENCE = 1e-3


class CrystalPairs:
    """The atom pairs of a crystal within the sum of the orbitals' reaches.

    Args:
        atoms: `ase.Atoms`.
        species: dict from element symbols to `Species`.

    Attributes:
        atom_pairs: `(P, 5)` int array of `(R1, R2, R3, i, j)`.
        vectors: `(P, 3)` array, bohr, from i to j.
        lengths: `(P,)` array, bohr.
        partner: `(P,)` int array. Position of `(-R, j, i)`.
        kinds: `(N,)` int array. Which of `species` an atom is.
        sizes: `(N,)` int array. Orbitals of each atom.
        reach: `(N,)` array, bohr.
        boundaries: `(P + 1,)` int array. Where the blocks begin in a flat
            array of entries.
        positions, cell: in bohr.

    Raises:
        ValueError: if an element has no species, or two atoms coincide.
    """

    def __init__(self, atoms, species):
        symbols = list(species)
        missing = set(atoms.get_chemical_symbols()) - set(symbols)
        if missing:
            raise ValueError(
                f"There is no species of {', '.join(sorted(missing))}; known: "
                f"{', '.join(symbols)}. Read the files of every element."
            )
        found = {chemical_symbols.index(s): k for k, s in enumerate(symbols)}
        self.kinds = np.array([found[z] for z in atoms.numbers])
        self.positions = atoms.positions / BOHR_IN_ANGSTROM
        self.cell = np.asarray(atoms.cell) / BOHR_IN_ANGSTROM
        by_kind = list(species.values())
        self.reach = np.array([by_kind[k].reach for k in self.kinds])
        sizes = [sum(2 * l + 1 for l in s.degrees) for s in by_kind]
        self.sizes = np.array(sizes)[self.kinds]
        self.atom_pairs = pairs_within(
            atoms, {s: k.reach * BOHR_IN_ANGSTROM for s, k in species.items()}
        )
        shifts, i, j = np.split(self.atom_pairs, [3, 4], axis=1)
        i, j = i[:, 0], j[:, 0]
        self.vectors = (
            self.positions[j] + shifts @ self.cell - self.positions[i]
        )
        self.lengths = np.linalg.norm(self.vectors, axis=1)
        self._check_distances()
        self.shapes = self.sizes[self.atom_pairs[:, 3:]]
        self.boundaries = np.concatenate(
            [[0], np.cumsum(self.shapes.prod(axis=1))]
        )
        # A pair as one number, for look-ups in compiled loops.
        self.span = int(np.abs(shifts).max(initial=0)) + 1
        codes = _codes(self.atom_pairs, self.span, len(atoms))
        self.order = np.argsort(codes)
        self.codes = codes[self.order]
        reverse = np.column_stack([-shifts, j, i])
        self.partner = self.order[
            np.searchsorted(self.codes, _codes(reverse, self.span, len(atoms)))
        ]

    def _check_distances(self):
        """The onsite pairs come first; all others are of two atoms."""
        others = self.lengths[len(self.kinds) :]
        if others.min(initial=np.inf) < COINCIDENCE / BOHR_IN_ANGSTROM:
            pair = self.atom_pairs[len(self.kinds) + int(others.argmin())]
            raise ValueError(
                f"Atoms {pair[3]} and {pair[4]} (counted from 0) coincide: "
                f"they are {others.min() * BOHR_IN_ANGSTROM:.1e} Å apart with "
                f"the lattice shift {pair[:3].tolist()}. Remove one."
            )

    @property
    def num_entries(self):
        """Numbers of all blocks."""
        return int(self.boundaries[-1])

    def matrix(self, entries):
        """A `BlockMatrix` from the flat entries."""
        return BlockMatrix(self.atom_pairs, self.shapes, entries)

    def of_kinds(self, first, second):
        """Positions of the pairs of two kinds of atoms."""
        i, j = self.kinds[self.atom_pairs[:, 3:]].T
        return np.flatnonzero((i == first) & (j == second))

    def places(self, positions):
        """Where the entries of blocks of equal size stand: `(n, size)`."""
        starts = self.boundaries[positions]
        size = self.boundaries[positions[:1] + 1] - starts[:1]
        return starts[:, None] + np.arange(size[0] if len(size) else 0)

    def add(self, entries, product, atoms, shifts, sign=1.0):
        """Adds the blocks of a matrix between images of atoms.

        Of a pair and its reverse, which hold the same numbers, only the
        first is filled; `mirror` fills the other.

        Args:
            entries: `(num_entries,)` array, which is changed.
            product: symmetric matrix (antisymmetric for `sign=-1`), rows and
                columns the orbitals of the images one after another. What is
                on and above the diagonal is read.
            atoms: `(n,)` int array. The atom of each image.
            shifts: `(n, 3)` int array. The cell it is in.
            sign: float. 1 or -1.
        """
        starts = np.concatenate([[0], np.cumsum(self.sizes[atoms])])
        _add_blocks(
            entries,
            product,
            atoms,
            shifts,
            starts,
            sign,
            self.span,
            len(self.kinds),
            self.codes,
            self.order,
            self.partner,
            self.boundaries,
        )

    def mirror(self, entries, sign=1.0):
        """Fills the reverse of every pair that `add` filled."""
        _mirror_blocks(
            entries, self.partner, self.boundaries, self.shapes, sign
        )
        return entries


def _codes(pairs, span, num_atoms):
    """One number for each pair `(R1, R2, R3, i, j)`."""
    base = 2 * span + 1
    code = np.zeros(len(pairs), dtype=np.int64)
    for axis in range(3):
        code = code * base + pairs[:, axis] + span
    return (code * num_atoms + pairs[:, 3]) * num_atoms + pairs[:, 4]


@numba.njit(nogil=True, cache=True)
def _add_blocks(
    entries,
    product,
    atoms,
    shifts,
    starts,
    sign,
    span,
    num_atoms,
    codes,
    order,
    partner,
    boundaries,
):
    base = 2 * span + 1
    for a in range(len(atoms)):
        for b in range(a, len(atoms)):
            code = np.int64(0)
            is_far = False
            for axis in range(3):
                shift = shifts[b, axis] - shifts[a, axis]
                is_far |= abs(shift) > span
                code = code * base + shift + span
            if is_far:
                continue
            code = (code * num_atoms + atoms[a]) * num_atoms + atoms[b]
            found = np.searchsorted(codes, code)
            if found == len(codes) or codes[found] != code:
                continue
            pair = order[found]
            first, last = starts[a], starts[b]
            rows, columns = starts[a + 1] - first, starts[b + 1] - last
            start = boundaries[min(pair, partner[pair])]
            if pair < partner[pair]:
                for u in range(rows):
                    for v in range(columns):
                        entries[start] += product[first + u, last + v]
                        start += 1
                continue
            # The reverse of what is read, or an onsite block.
            is_onsite = pair == partner[pair]
            for v in range(columns):
                for u in range(rows):
                    value = product[first + u, last + v]
                    if is_onsite and u > v:
                        value = sign * product[first + v, last + u]
                    entries[start] += sign * value
                    start += 1


@numba.njit(nogil=True, cache=True)
def _mirror_blocks(entries, partner, boundaries, shapes, sign):
    for pair in range(len(partner)):
        if pair < partner[pair]:
            rows, columns = shapes[pair]
            source, target = boundaries[pair], boundaries[partner[pair]]
            for u in range(rows):
                for v in range(columns):
                    value = sign * entries[source + u * columns + v]
                    entries[target + v * rows + u] = value
