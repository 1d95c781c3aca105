"""Features of a stage in a file that several trainings share."""

import hashlib
import json
import pathlib
import urllib.parse

import h5py
import keras
import numpy as np

from keras_hamiltonian.hdf5_files import new_hdf5

FORMAT = "keras_hamiltonian stage features"


class FeatureFile:
    """An HDF5 file of features, each with what it was computed from.

    Layout of the file::

        /                 attributes: format, stage (checksum of its arguments
                          and weights)
        /<structures>/    attribute: inputs (checksum of the batch); one data
                          set for each output of the feature model

    Args:
        path: str or path. Need not be there.
        stage: `EquivariantStage`.

    Raises:
        ValueError: if the file holds anything else.
    """

    def __init__(self, path, stage):
        self.path = pathlib.Path(path).absolute()
        self._stage = stage_checksum(stage)
        self.is_usable = False
        if self.path.exists():
            self.is_usable = self._stage == self._stage_of_file()

    def read(self, names, inputs):
        """Features of a batch.

        Args:
            names: list of str. Its structures.
            inputs: dict of arrays, see `graph_inputs`.

        Returns:
            Dict of arrays; `None` if the file has none for this stage and
            this batch.
        """
        if not self.is_usable:
            return None
        with h5py.File(self.path, "r") as file:
            group = self._group(file, names, inputs)
            if group is None:
                return None
            return {name: x[()] for name, x in group.items()}

    def has(self, names, inputs):
        """Whether `read` would find something."""
        if not self.is_usable:
            return False
        with h5py.File(self.path, "r") as file:
            return self._group(file, names, inputs) is not None

    def extend(self, items):
        """Adds features; those of another stage go.

        The file appears whole or not at all.

        Args:
            items: iterable of `(names, inputs, features)`.
        """
        with new_hdf5(self.path) as file:
            file.attrs["format"] = FORMAT
            file.attrs["stage"] = self._stage
            if self.is_usable:
                with h5py.File(self.path, "r") as old:
                    for key in old:
                        old.copy(key, file)
            for names, inputs, features in items:
                key = _key(names)
                if key in file:
                    del file[key]
                group = file.create_group(key)
                group.attrs["inputs"] = _checksum(inputs)
                for name, x in features.items():
                    group[name] = x
        self.is_usable = True

    def _stage_of_file(self):
        found = None
        if h5py.is_hdf5(self.path):
            with h5py.File(self.path, "r") as file:
                found = dict(file.attrs)
        if found is None or found.get("format") != FORMAT:
            raise ValueError(
                f"{self.path} is there and holds no features of a stage. "
                "Choose another path; it is not overwritten."
            )
        return found["stage"]

    def _group(self, file, names, inputs):
        key = _key(names)
        # Another process may have replaced the file meanwhile.
        if file.attrs["stage"] != self._stage or key not in file:
            return None
        group = file[key]
        return group if group.attrs["inputs"] == _checksum(inputs) else None


def stage_checksum(stage):
    """A checksum of the arguments and the weights of a stage."""
    arguments = json.dumps(stage.arguments, sort_keys=True)
    digest = hashlib.sha256(arguments.encode())
    for weight in stage.weights:
        _add(digest, keras.ops.convert_to_numpy(weight))
    return digest.hexdigest()


def _checksum(inputs):
    digest = hashlib.sha256()
    for name in sorted(inputs):
        digest.update(name.encode())
        _add(digest, np.asarray(inputs[name]))
    return digest.hexdigest()


def _add(digest, array):
    digest.update(f"{array.dtype}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())


def _key(names):
    return "+".join(urllib.parse.quote(name, safe="") for name in names)
