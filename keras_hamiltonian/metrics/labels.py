"""What each element of a matrix belongs to: pair, shells, distance."""

import numpy as np
from ase.data import chemical_symbols

from keras_hamiltonian.conventions import SHELL_LETTERS
from keras_hamiltonian.orbitals.matrix_elements import element_pairs
from keras_hamiltonian.orbitals.matrix_elements import rows_and_columns

# Hoppings are pooled by distance in bins of this width.
BIN_IN_ANGSTROM = 0.5


class ElementLabels:
    """Labels of the elements and of the blocks of one matrix.

    A block is an atom pair; an orbital block is the part of it between one
    shell of each atom. Spins are pooled.

    Args:
        matrix: `BlockMatrix`.
        basis: `OrbitalBasis`. Shells are those of its common table.
        calculation: `Calculation` of the structure.

    Attributes:
        pair: `(num_elements,)` ints. Position of the atom pair.
        shells: `(num_elements,)` ints. Shell of the row times the number of
            shells of the table, plus that of the column.
        orbital_block: `(num_elements,)` ints, from 0 without gaps.
        block_keys: `(num_orbital_blocks, 2)` ints. Pair and `shells` of each
            orbital block.
        is_onsite: `(num_pairs,)` bools.
        distances: `(num_pairs,)` floats, in Å.
    """

    def __init__(self, matrix, basis, calculation):
        self.numbers = np.asarray(calculation.atoms.numbers)
        self.atom_pairs = matrix.atom_pairs
        self.pair = element_pairs(matrix)
        self.shells = shell_pairs(matrix, basis, self.numbers)
        self.is_onsite = matrix.is_onsite
        self._num_shells = len(basis.table_shells)
        vectors = calculation.edge_vectors(self.atom_pairs)
        self.distances = np.linalg.norm(vectors, axis=1)
        keys = self.pair * self._num_shells**2 + self.shells
        keys, blocks = np.unique(keys, return_inverse=True)
        self.orbital_block = blocks.reshape(-1)
        keys = np.divmod(keys, self._num_shells**2)
        self.block_keys = np.stack(keys, axis=1)

    def block_means(self, values):
        """Mean of an element's value over each orbital block."""
        sums = np.bincount(self.orbital_block, values)
        return sums / np.bincount(self.orbital_block)

    def one_of_two(self):
        """Orbital blocks without the transposed one of each: bools.

        A Hermitian matrix has every orbital block twice.
        """
        pairs = self.atom_pairs
        reverse = np.concatenate([-pairs[:, :3], pairs[:, [4, 3]]], axis=1)
        steps = np.concatenate([reverse - pairs, np.zeros((len(pairs), 1))], 1)
        first = np.argmax(steps != 0, axis=1)
        order = np.sign(steps[np.arange(len(pairs)), first])
        row, column = np.divmod(self.block_keys[:, 1], self._num_shells)
        order = order[self.block_keys[:, 0]]
        return np.where(order == 0, row <= column, order > 0)

    def groups(self):
        """How atom pairs are pooled.

        Returns:
            Dict from `"kind"` (`"onsite"`, `"hopping"`), `"element_pair"`
            (`"C-C"`) and `"distance"` (number of the bin, hoppings alone) to a
            list of names and a `(num_pairs,)` int array of positions in it;
            -1 where a pair belongs nowhere.
        """
        ordered = np.sort(self.numbers[self.atom_pairs[:, 3:]], axis=1)
        kinds, kind = np.unique(ordered, axis=0, return_inverse=True)
        names = [
            "-".join(chemical_symbols[number] for number in pair)
            for pair in kinds
        ]
        # The last digits of a position must not decide about a bin.
        bins = np.floor((self.distances + 1e-6) / BIN_IN_ANGSTROM).astype(int)
        found, place = np.unique(bins, return_inverse=True)
        place = np.where(self.is_onsite, -1, place.reshape(-1))
        return {
            "kind": (["onsite", "hopping"], (~self.is_onsite).astype(int)),
            "element_pair": (names, kind.reshape(-1)),
            "distance": (found.tolist(), place),
        }

    def describe(self, block, basis):
        """Describes an orbital block: a dict of JSON values.

        Args:
            block: int. Position in `block_keys`.
            basis: `OrbitalBasis`.

        Returns:
            Dict of `atoms` (`["C0", "C3"]`, counted from 0), `cell` (of the
            second atom), `shells` (`"s1-p1"`) and `distance` in Å.
        """
        pair, shells = self.block_keys[block]
        *cell, first, second = self.atom_pairs[pair].tolist()
        names = shell_names(basis)
        return {
            "atoms": [
                f"{chemical_symbols[self.numbers[atom]]}{atom}"
                for atom in (first, second)
            ],
            "cell": cell,
            "shells": "-".join(
                names[k] for k in divmod(int(shells), self._num_shells)
            ),
            "distance": float(self.distances[pair]),
        }


class PooledMeans:
    """Means of several values over named groups, structure by structure.

    Args:
        *fields: str. Names of the values.
    """

    def __init__(self, *fields):
        self.fields = fields
        self._sums = {}

    def add(self, names, positions, *values):
        """Adds values to the groups at `positions` in `names`; -1 to none."""
        inside = positions >= 0
        size = len(names)
        sums = [
            np.bincount(positions[inside], value[inside], minlength=size)
            for value in (*values, np.ones(len(positions)))
        ]
        for name, *new in zip(names, *sums):
            old = self._sums.get(name, np.zeros(len(new)))
            self._sums[name] = old + new

    def merge(self, other):
        """Adds what another one has of other structures."""
        for name, new in other._sums.items():
            self._sums[name] = self._sums.get(name, 0.0) + new

    def result(self):
        """Dict from group to a dict of the means and the `count`."""
        return {
            name: {
                **dict(zip(self.fields, (sums[:-1] / sums[-1]).tolist())),
                "count": int(sums[-1]),
            }
            for name, sums in sorted(self._sums.items())
            if sums[-1]
        }


def shell_names(basis):
    """Names of the shells of a basis' common table: `["s1", "s2", "p1"]`."""
    degrees = basis.table_shells
    return [
        f"{SHELL_LETTERS[l]}{degrees[: k + 1].count(l)}"
        for k, l in enumerate(degrees)
    ]


def shell_pairs(matrix, basis, numbers):
    """Shell of the row times the number of shells, plus that of the column.

    Args:
        matrix: `BlockMatrix`.
        basis: `OrbitalBasis`. Shells count in its common table.
        numbers: `(num_atoms,)` ints. Atomic numbers.

    Returns:
        `(num_elements,)` ints.
    """
    numbers = np.asarray(numbers)
    table = basis.table_shells
    shell_of_row = np.repeat(np.arange(len(table)), [2 * l + 1 for l in table])
    shells = np.zeros((numbers.max() + 1, basis.num_rows), dtype=np.int64)
    sizes = np.ones(numbers.max() + 1, dtype=np.int64)
    for number in set(numbers.tolist()):
        rows = basis.table_rows(number)
        shells[number, : len(rows)] = shell_of_row[rows]
        sizes[number] = len(rows)
    pair = element_pairs(matrix)
    found = np.zeros_like(pair)
    ends = numbers[matrix.atom_pairs[:, 3:]]
    for end, index in enumerate(rows_and_columns(matrix)):
        element = ends[pair, end]
        shell = shells[element, index % sizes[element]]
        found = found * len(table) + shell
    return found
