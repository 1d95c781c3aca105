"""Features of a trained stage, computed once for each structure."""

import keras
import numpy as np


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
            asked for. One bond takes about 2 kB for every group of a stage
            with DeepH-E3's irreps.
        **kwargs: `workers`, ... of `keras.utils.PyDataset`.

    Each item is that of the data set, the inputs with the outputs of
    `stage.feature_model()` beside them. Targets stay those of the data set: a
    second stage adds its correction to `baseline_onsite` and
    `baseline_hopping`.
    """

    def __init__(self, stage, dataset, cache=True, **kwargs):
        super().__init__(**kwargs)
        self.dataset = dataset
        self.feature_model = stage.feature_model()
        self._cache = {} if cache else None

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, position):
        inputs, *labels = self.dataset[position]
        return ({**inputs, **self._features(position, inputs)}, *labels)

    def on_epoch_end(self):
        """Draws the order of the next epoch."""
        self.dataset.on_epoch_end()
        changes = self.dataset.shuffle and self.dataset.batch_size > 1
        if self._cache is not None and changes:
            self._cache.clear()

    def _features(self, position, inputs):
        key = tuple(self.dataset.structure_names(position))
        if self._cache is not None and key in self._cache:
            return self._cache[key]
        found = self.feature_model.predict_on_batch(inputs)
        found = {name: np.asarray(x) for name, x in found.items()}
        if self._cache is not None:
            self._cache[key] = found
        return found


class Residuals(keras.utils.PyDataset):
    """The same inputs with what the first stage left as targets.

    Args:
        features: `StageFeatures`.

    Raises:
        ValueError: if the structures have no Hamiltonian.
    """

    def __init__(self, features, **kwargs):
        super().__init__(**kwargs)
        if not features.dataset.has_targets:
            raise ValueError(
                "There is nothing to fit to: the structures of the data set "
                "have no Hamiltonian. Give those that a calculation has."
            )
        self.features = features

    def __len__(self):
        return len(self.features)

    def __getitem__(self, position):
        inputs, targets, weights = self.features[position]
        residuals = {
            name: target - inputs[f"baseline_{name}"]
            for name, target in targets.items()
        }
        return inputs, residuals, weights
