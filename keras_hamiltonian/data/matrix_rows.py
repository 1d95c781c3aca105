"""A block matrix as one HDF5 group that is written some rows at a time."""

import numpy as np

from keras_hamiltonian.data.matrix_group import write_layout
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.block_matrix import reverse_positions
from keras_hamiltonian.orbitals.block_matrix import runs


class StoredRows:
    """A Hermitian matrix in a group that `read_matrix` reads.

    One block of each pair and its reverse is stored, so what is read is
    exactly Hermitian.

    Args:
        group: `h5py.Group`, empty.
        atom_pairs: `(P, 5)` int array, each with its reverse.
        shapes: `(P, 2)` int array.
        dtype: of the numbers.
    """

    def __init__(self, group, atom_pairs, shapes, dtype):
        partners = reverse_positions(atom_pairs)
        self.is_stored = np.arange(len(atom_pairs)) <= partners
        self.number = np.cumsum(self.is_stored) - 1
        stored = np.flatnonzero(self.is_stored)
        self.pairs, self.shapes = atom_pairs[stored], shapes[stored]
        self.boundaries = write_layout(
            group, atom_pairs, shapes, (stored, partners[stored])
        )
        size = (int(self.boundaries[-1]),)
        self.entries = group.create_dataset("entries", size, dtype)

    def put(self, positions, rows):
        """Takes the blocks of some pairs.

        Args:
            positions: `(n,)` int array, ascending.
            rows: `BlockMatrix` of these pairs.
        """
        kept = self.is_stored[positions]
        rows = rows.select(kept)
        for start, stop, first, last in runs(self.number[positions[kept]]):
            target = slice(self.boundaries[start], self.boundaries[stop])
            source = slice(rows.boundaries[first], rows.boundaries[last])
            self.entries[target] = rows.entries[source]

    def change(self, positions, function):
        """Changes what is stored of some pairs.

        Args:
            positions: `(n,)` int array, ascending.
            function: from a `BlockMatrix` to what takes its place.
        """
        kept = self.number[positions[self.is_stored[positions]]]
        pieces = [
            self.entries[self.boundaries[start] : self.boundaries[stop]]
            for start, stop, *_ in runs(kept)
        ]
        found = function(
            BlockMatrix(
                self.pairs[kept], self.shapes[kept], np.concatenate(pieces)
            )
        )
        for start, stop, first, last in runs(kept):
            target = slice(self.boundaries[start], self.boundaries[stop])
            source = slice(found.boundaries[first], found.boundaries[last])
            self.entries[target] = found.entries[source]
