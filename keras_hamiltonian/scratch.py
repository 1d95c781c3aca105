"""Arrays that wait on the disk."""

import pathlib
import tempfile

import keras
import numpy as np


class Scratch:
    """Nests of arrays in a temporary folder, which goes with the context.

    The system says where: `TMPDIR` on Unix.
    """

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="keras_hamiltonian_")
        self._numbers = {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._folder.cleanup()

    def put(self, name, nest):
        """Keeps a nest of arrays; one of the same name is replaced."""
        self.drop(name)
        leaves = keras.tree.flatten(nest)
        numbers = list(range(len(leaves)))
        for number, array in zip(numbers, leaves):
            np.save(self._path(name, number), array)
        self._numbers[name] = keras.tree.pack_sequence_as(nest, numbers)

    def get(self, name, rows=None):
        """The nest of a name.

        Args:
            name: str.
            rows: int array. Which rows of each array are wanted; nothing else
                is read. Defaults to all.
        """

        def read(number):
            path = self._path(name, number)
            if rows is None:
                return np.load(path)
            return np.load(path, mmap_mode="r")[rows]

        return keras.tree.map_structure(read, self._numbers[name])

    def has(self, name):
        """Whether there is a nest of a name."""
        return name in self._numbers

    def drop(self, name):
        """Forgets a nest, if there is one of this name."""
        for number in keras.tree.flatten(self._numbers.pop(name, [])):
            self._path(name, number).unlink()

    def _path(self, name, number):
        return pathlib.Path(self._folder.name) / f"{name}_{number}.npy"
