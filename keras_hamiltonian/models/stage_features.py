"""Features of a trained stage, computed once for each structure."""

import keras
import numpy as np

from keras_hamiltonian.conventions import INITIAL_BLOCKS
from keras_hamiltonian.messages import counted
from keras_hamiltonian.models.feature_file import FeatureFile
from keras_hamiltonian.ops.spin import without_spin
from keras_hamiltonian.orbitals.two_centre_fit import batches

# Largest deviation of stored features, over the largest number of each.
TOLERANCE = 1e-3


class StageFeatures(keras.utils.PyDataset):
    """What a second stage trains on: inputs joined by features of the first.

    The first stage is frozen, so it runs once per batch; later epochs take the
    features from memory.

    Args:
        stage: `EquivariantStage`, trained.
        dataset: `HamiltonianDataset`. With `shuffle` and several structures per
            batch the batches change, and so their features are made anew in
            every epoch.
        cache: bool. Whether features stay in memory, as they were when first
            asked for. One edge takes about 2 kB for every group of a stage
            with DeepH-E3's irreps.
        path: str or path. An HDF5 file that keeps the features, so that later
            trainings of a second stage do not compute them again. What is
            missing, or was computed by other weights or from another
            structure, is computed at once and written. It is as large as the
            features are in memory.
        **kwargs: `workers`, ... of `keras.utils.PyDataset`.

    Each item is that of the data set, the inputs with the outputs of
    `stage.feature_model()` beside them. Targets stay those of the data set: a
    second stage adds its correction to `baseline_onsite` and
    `baseline_hopping`.

    Raises:
        ValueError: if `path` is a file of another kind, or the batches change
            from epoch to epoch.
    """

    def __init__(self, stage, dataset, cache=True, path=None, **kwargs):
        super().__init__(**kwargs)
        self.dataset = dataset
        self.feature_model = stage.feature_model()
        self._cache = {} if cache else None
        self._file = None
        if path is not None:
            self._file = self._filled_file(path, stage)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, position):
        inputs, *labels = self.dataset[position]
        features = self._features(position, inputs)
        # The second stage finds H⁰ in the baseline.
        inputs = {k: x for k, x in inputs.items() if k not in INITIAL_BLOCKS}
        return ({**inputs, **features}, *labels)

    def on_epoch_end(self):
        """Draws the order of the next epoch."""
        self.dataset.on_epoch_end()
        self._forget()

    def get_state(self):
        """What the order depends on: that of the data set."""
        return self.dataset.get_state()

    def set_state(self, state):
        """Goes to the order of an epoch; see `get_state`."""
        self.dataset.set_state(state)
        self._forget()

    @property
    def _batches_change(self):
        return self.dataset.shuffle and self.dataset.batch_size > 1

    def _forget(self):
        if self._cache is not None and self._batches_change:
            self._cache.clear()

    def _features(self, position, inputs):
        names = self.dataset.structure_names(position)
        # One structure may come with more padding.
        key = (*names, inputs["neighbors"].shape)
        if self._cache is not None and key in self._cache:
            return self._cache[key]
        found = None
        if self._file is not None:
            found = self._file.read(names, inputs)
        if found is None:
            found = self._computed(inputs)
        if self._cache is not None:
            self._cache[key] = found
        return found

    def _computed(self, inputs):
        found = self.feature_model.predict_on_batch(inputs)
        return {name: np.asarray(x) for name, x in found.items()}

    def _filled_file(self, path, stage):
        """The file, with the features of all batches."""
        if self._batches_change:
            raise ValueError(
                "Features of batches that change in every epoch are not kept. "
                f"Received: path={str(path)!r} and a data set with "
                f"shuffle=True, batch_size={self.dataset.batch_size}. Use "
                "batch_size=1, or leave out `path`."
            )
        file = FeatureFile(path, stage)
        missing, is_checked = [], False
        for position in counted(range(len(self)), "check", "batches"):
            names = self.dataset.structure_names(position)
            inputs = self.dataset[position][0]
            if not file.has(names, inputs):
                missing.append(position)
            elif not is_checked:
                # Weights are the same; layers may have changed since.
                is_checked = True
                stored = file.read(names, inputs)
                if not _agree(stored, self._computed(inputs)):
                    file.is_usable = False
                    missing = range(len(self))
                    break
        if missing:
            file.extend(self._items(missing))
        return file

    def _items(self, positions):
        for position in counted(positions, "features", "batches"):
            inputs = self.dataset[position][0]
            names = self.dataset.structure_names(position)
            yield names, inputs, self._computed(inputs)


def _agree(stored, found):
    if set(stored) != set(found):
        return False
    return all(
        stored[name].shape == x.shape
        and np.abs(stored[name] - x).max(initial=0.0)
        <= TOLERANCE * np.abs(x).max(initial=0.0)
        for name, x in found.items()
    )


class Residuals:
    """The same inputs with what is left to learn as targets.

    Args:
        dataset: `StageFeatures`, `HamiltonianDataset` or iterable of batches.
        known: str. `"baseline"`: what the first stage predicts; `"initial"`:
            H⁰.
        spin_free: bool. Whether only the part without spin is left to learn,
            as real blocks.

    Raises:
        ValueError: if the structures have no Hamiltonian.
    """

    def __init__(self, dataset, known, spin_free=False):
        self.dataset = dataset
        self.known = known
        self.spin_free = spin_free

    def __iter__(self):
        for batch in batches(self.dataset):
            if len(batch) == 1:
                raise ValueError(
                    "There is nothing to fit to: the structures of the data "
                    "set have no Hamiltonian. Give those that a calculation "
                    "has."
                )
            inputs, *labels = batch
            labels[0] = {
                name: target - inputs[f"{self.known}_{name}"]
                for name, target in labels[0].items()
            }
            if self.spin_free:
                labels = [
                    {name: without_spin(x) for name, x in found.items()}
                    for found in labels
                ]
            yield (inputs, *labels)
