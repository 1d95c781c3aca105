"""Arrays that wait on the disk."""

import errno
import os
import tempfile

import keras
import numpy as np


class Scratch:
    """Nests of arrays in temporary files, which go with the context.

    There is one file for all nests of a kind, and it goes with the last of
    them. The system says where: `TMPDIR` on Unix. The files have no names
    there, so that nothing is left of a process that is killed.
    """

    def __init__(self):
        # Files by kind; nests by kind and number.
        self._files, self._nests = {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for kind, number in list(self._nests):
            self.drop(kind, number)

    def put(self, kind, number, nest):
        """Keeps a nest of arrays.

        Args:
            kind: str.
            number: int. Which of its kind.
            nest: dicts and lists of arrays.

        Raises:
            OSError: if the disk is full.
        """
        file = self._files.get(kind)
        if file is None:
            file = tempfile.TemporaryFile(prefix="keras_hamiltonian_")
            self._files[kind] = file
        file.seek(0, os.SEEK_END)
        try:
            self._nests[kind, number] = keras.tree.map_structure(
                lambda x: _Kept(file, np.ascontiguousarray(x)), nest
            )
            file.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(
                errno.ENOSPC,
                "The disk of temporary files is full, where features wait for "
                "the next group of the network. Name another folder, TMPDIR, "
                "or give more memory",
                tempfile.gettempdir(),
            ) from None

    def get(self, kind, number, rows=None):
        """A nest that was kept.

        Args:
            kind, number: see `put`.
            rows: int array. Which rows of each array are wanted; nothing else
                is read. Defaults to all.
        """
        rows = slice(None) if rows is None else rows
        file = self._files[kind]
        return keras.tree.map_structure(
            lambda kept: kept.read(file, rows), self._nests[kind, number]
        )

    def has(self, kind, number):
        """Whether there is a nest."""
        return (kind, number) in self._nests

    def drop(self, kind, number):
        """Forgets a nest."""
        del self._nests[kind, number]
        if not any(other == kind for other, _ in self._nests):
            self._files.pop(kind).close()


class _Kept:
    """Where an array lies in a file."""

    def __init__(self, file, array):
        self.place, self.shape, self.dtype = (
            file.tell(),
            array.shape,
            array.dtype,
        )
        if array.size:
            file.write(memoryview(array).cast("B"))

    def read(self, file, rows):
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)[rows]
        options = {"offset": self.place, "shape": self.shape}
        return np.array(np.memmap(file, self.dtype, "r", **options)[rows])
