"""Arrays that wait on the disk."""

import tempfile

import keras
import numpy as np


class Scratch:
    """Nests of arrays in temporary files, which go with the context.

    The system says where: `TMPDIR` on Unix. The files have no names there, so
    that nothing is left of a process that is killed.
    """

    def __init__(self):
        self._files = {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for name in list(self._files):
            self.drop(name)

    def put(self, name, nest):
        """Keeps a nest of arrays; one of the same name is replaced."""
        self.drop(name)
        self._files[name] = keras.tree.map_structure(_written, nest)

    def get(self, name, rows=None):
        """The nest of a name.

        Args:
            name: str.
            rows: int array. Which rows of each array are wanted; nothing else
                is read. Defaults to all.
        """
        rows = slice(None) if rows is None else rows
        return keras.tree.map_structure(
            lambda kept: np.array(kept.map()[rows]), self._files[name]
        )

    def has(self, name):
        """Whether there is a nest of a name."""
        return name in self._files

    def drop(self, name):
        """Forgets a nest, if there is one of this name."""
        for kept in keras.tree.flatten(self._files.pop(name, [])):
            kept.file.close()


class _Kept:
    """An array in a file; what it is cannot be told from empty ones."""

    def __init__(self, file, shape, dtype):
        self.file, self.shape, self.dtype = file, shape, dtype

    def map(self):
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        return np.memmap(self.file, self.dtype, "r", shape=self.shape)


def _written(array):
    array = np.ascontiguousarray(array)
    file = tempfile.TemporaryFile(prefix="keras_hamiltonian_")
    array.tofile(file)
    file.flush()
    return _Kept(file, array.shape, array.dtype)
