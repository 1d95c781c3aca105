"""Arrays that wait on the disk."""

import errno
import math
import os
import tempfile

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
        self.close()

    def close(self):
        """Forgets all nests."""
        for kind, number in list(self._nests):
            self.drop(kind, number)

    def put(self, kind, number, nest):
        """Keeps a nest of arrays.

        Args:
            kind: str.
            number: int. Which of its kind.
            nest: dicts, lists and tuples of arrays.

        Raises:
            OSError: if the disk is full.
        """
        file = self._files.get(kind)
        if file is None:
            file = tempfile.TemporaryFile(prefix="keras_hamiltonian_")
            self._files[kind] = file
        file.seek(0, os.SEEK_END)
        try:
            self._nests[kind, number] = _mapped(
                lambda x: _Kept(file, np.ascontiguousarray(x)), nest
            )
            file.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(
                errno.ENOSPC,
                "The disk of temporary files is full, where arrays wait that "
                "would take more memory than allowed. Name another folder, "
                "TMPDIR, or give more memory",
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
        return _mapped(
            lambda kept: kept.read(file, rows), self._nests[kind, number]
        )

    def view(self, kind, number):
        """A nest that was kept, read where it lies as it is used.

        Neither time nor memory for a copy; what was read counts as memory of
        the process until the arrays are gone.

        Args:
            kind, number: see `put`.
        """
        found = []
        nest = self._nests[kind, number]
        _mapped(found.append, nest)
        found = [kept for kept in found if 0 not in kept.shape]
        if not found:
            return self.get(kind, number)
        start, last = found[0].place, found[-1]
        size = last.place + last.num_bytes - start
        whole = np.memmap(self._files[kind], np.uint8, "r", start, size)
        return _mapped(lambda kept: kept.of_bytes(whole, start), nest)

    def has(self, kind, number):
        """Whether there is a nest."""
        return (kind, number) in self._nests

    def drop(self, kind, number):
        """Forgets a nest."""
        del self._nests[kind, number]
        if not any(other == kind for other, _ in self._nests):
            self._files.pop(kind).close()


def _mapped(function, nest):
    if isinstance(nest, dict):
        return {key: _mapped(function, x) for key, x in nest.items()}
    if isinstance(nest, list | tuple):
        return type(nest)(_mapped(function, x) for x in nest)
    return function(nest)


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

    @property
    def num_bytes(self):
        return math.prod(self.shape) * self.dtype.itemsize

    def of_bytes(self, whole, start):
        """Its part of bytes that begin at a place of the file."""
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        first = self.place - start
        part = np.asarray(whole[first : first + self.num_bytes])
        return part.view(self.dtype).reshape(self.shape)

    def read(self, file, rows):
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)[rows]
        options = {"offset": self.place, "shape": self.shape}
        return np.array(np.memmap(file, self.dtype, "r", **options)[rows])
