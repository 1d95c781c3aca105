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
        chosen: `(N,)` bools. The atoms whose pairs with each other are
            wanted. Defaults to all.

    Attributes:
        chosen: `(N,)` bools.
        from_chosen: `(Q, 5)` int array. Pairs of the chosen atoms with all
            others.
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

    def __init__(self, atoms, species, chosen=None):
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
        self.chosen = np.ones(len(atoms), dtype=bool)
        if chosen is not None:
            self.chosen = np.asarray(chosen, dtype=bool)
        starts, ends = self.chosen[self.atom_pairs[:, 3:]].T
        self.from_chosen = self.atom_pairs[starts]
        self.atom_pairs = self.atom_pairs[starts & ends]
        shifts, i, j = np.split(self.atom_pairs, [3, 4], axis=1)
        i, j = i[:, 0], j[:, 0]
        self.vectors = self.between(self.atom_pairs)
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
        # Where the pairs of each first atom begin.
        counts = np.bincount(i, minlength=len(atoms))
        self.rows = np.concatenate([[0], np.cumsum(counts)])
        reverse = np.column_stack([-shifts, j, i])
        self.partner = self.order[
            np.searchsorted(self.codes, _codes(reverse, self.span, len(atoms)))
        ]

    def _check_distances(self):
        """The onsite pairs come first; all others are of two atoms."""
        num_onsite = int(self.chosen.sum())
        others = self.lengths[num_onsite:]
        if others.min(initial=np.inf) < COINCIDENCE / BOHR_IN_ANGSTROM:
            pair = self.atom_pairs[num_onsite + int(others.argmin())]
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

    def between(self, atom_pairs):
        """Vectors of pairs, in bohr: `(P, 3)`."""
        shifts, ends = atom_pairs[:, :3], self.positions[atom_pairs[:, 3:]]
        return ends[:, 1] + shifts @ self.cell - ends[:, 0]

    def of_kinds(self, first, second):
        """Positions of the pairs of two kinds of atoms."""
        i, j = self.kinds[self.atom_pairs[:, 3:]].T
        return np.flatnonzero((i == first) & (j == second))

    def places(self, positions):
        """Where the entries of blocks of equal size stand: `(n, size)`."""
        starts = self.boundaries[positions]
        size = self.boundaries[positions[:1] + 1] - starts[:1]
        return starts[:, None] + np.arange(size[0] if len(size) else 0)

    def add(self, entries, products, atoms, shifts, ends):
        """Adds the blocks of matrices between images of atoms.

        Of a pair and its reverse, which hold the same numbers, only the
        first is filled; `mirror` fills the other.

        Args:
            entries: `(n, num_entries)` array, which is changed.
            products: `(n, size, size)` array, rows and columns the orbitals
                of the images one after another. The first matrix is
                symmetric, the others antisymmetric. What is on and above the
                diagonal is read.
            atoms: `(num_images,)` int array. The atom of each image.
            shifts: `(num_images, 3)` int array. The cell it is in.
            ends: `(num_images,)` int array. With which images, up to this
                one, each is a pair.
        """
        _add_blocks(
            entries,
            products,
            atoms,
            shifts,
            ends,
            self.sizes,
            self.span,
            self.codes,
            self.rows,
            self.order,
            self.partner,
            self.boundaries,
        )

    def mirror(self, entries):
        """Fills the reverse of every pair that `add` filled."""
        _mirror_blocks(entries, self.partner, self.boundaries, self.shapes)
        return entries


def _codes(pairs, span, num_atoms):
    """One number for each pair `(R1, R2, R3, i, j)`, ascending with i."""
    base = 2 * span + 1
    code = pairs[:, 3].astype(np.int64)
    for axis in range(3):
        code = code * base + pairs[:, axis] + span
    return code * num_atoms + pairs[:, 4]


@numba.njit(nogil=True, cache=True)
def _add_blocks(
    entries,
    products,
    atoms,
    shifts,
    ends,
    sizes,
    span,
    codes,
    rows,
    order,
    partner,
    boundaries,
):
    base = 2 * span + 1
    first = 0
    for a in range(len(atoms)):
        i = atoms[a]
        known = codes[rows[i] : rows[i + 1]]
        last = first
        for b in range(a, ends[a]):
            j = atoms[b]
            start, last = last, last + sizes[j]
            code = i
            is_far = False
            for axis in range(3):
                shift = shifts[b, axis] - shifts[a, axis]
                is_far |= abs(shift) > span
                code = code * base + shift + span
            code = code * len(sizes) + j
            found = np.searchsorted(known, code)
            if is_far or found == len(known) or known[found] != code:
                continue
            pair = order[rows[i] + found]
            target = boundaries[min(pair, partner[pair])]
            for n in range(len(entries)):
                _add_block(
                    entries[n, target : target + sizes[i] * sizes[j]],
                    products[n, first : first + sizes[i], start:last],
                    pair - partner[pair],
                    -1.0 if n else 1.0,
                )
        first += sizes[i]


@numba.njit(nogil=True, cache=True)
def _add_block(entries, block, side, sign):
    """Adds a block, or where `side >= 0` its reverse, to its entries."""
    count = 0
    if side < 0:
        for u in range(block.shape[0]):
            for v in range(block.shape[1]):
                entries[count] += block[u, v]
                count += 1
        return
    for v in range(block.shape[1]):
        for u in range(block.shape[0]):
            if side == 0 and u > v:
                # Of an onsite block the upper half is read.
                entries[count] += block[v, u]
            else:
                entries[count] += sign * block[u, v]
            count += 1


@numba.njit(nogil=True, cache=True)
def _mirror_blocks(entries, partner, boundaries, shapes):
    for pair in range(len(partner)):
        if pair < partner[pair]:
            rows, columns = shapes[pair]
            source, target = boundaries[pair], boundaries[partner[pair]]
            for n in range(len(entries)):
                sign = -1.0 if n else 1.0
                for u in range(rows):
                    for v in range(columns):
                        value = sign * entries[n, source + u * columns + v]
                        entries[n, target + v * rows + u] = value
