"""A data set whose crystals are rotated anew in every epoch."""

import keras
import numpy as np

from keras_hamiltonian.conventions import INITIAL_BLOCKS
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.layers.geometry.random_rotation import RandomRotation


class RotatedDataset(keras.utils.PyDataset):
    """Crystals rotated at random, with the labels that belong to them.

    Each structure is rotated by a rotation of its own, drawn uniformly (Haar
    measure) from the seed, the number of the epoch and the position of the
    batch; so workers may ask in any order, and a training that resumes from a
    checkpoint sees what it would have seen. For models that are to learn
    symmetry from rotated crystals; `EquivariantStage` has it, and
    `TransformerStage` rotates its crystals inside. Leave the validation set as
    it is.

    Args:
        dataset: `HamiltonianDataset`, with or without targets.
        seed: int. Seed of the rotations.
        **kwargs: `workers`, ... of `keras.utils.PyDataset`.

    Each item is that of the data set with `edge_vectors`, H⁰ and the targets
    rotated; indices, masks and weights stay.

    Raises:
        ValueError: for `StageFeatures`, whose features would have to rotate.

    Example:

    >>> training = RotatedDataset(dataset, seed=1)  # doctest: +SKIP
    >>> model.fit(training)                         # doctest: +SKIP
    """

    def __init__(self, dataset, seed=0, **kwargs):
        super().__init__(**kwargs)
        if not hasattr(dataset, "basis"):
            raise ValueError(
                "Rotating a data set takes atoms and blocks. Received: a "
                f"{type(dataset).__name__}. Give a `HamiltonianDataset`; "
                "features of a first stage are rotated by "
                '`TransformerStage(rotation="random")` itself.'
            )
        self.dataset = dataset
        self.seed = seed
        self._rotation = RandomRotation(dataset.basis.to_dict(), dataset.spin)
        self._epoch = 0

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, position):
        batch = self.dataset[position]
        structure = np.asarray(batch[0]["structure"])
        random = np.random.default_rng((self.seed, self._epoch, position))
        rotations = random_rotations(int(structure.max()) + 1, random)
        rotated = self._rotation.rotate_batch(batch, rotations[structure])
        # Arrays: workers hand them on.
        inputs = dict(rotated[0])
        for name in ("edge_vectors", *INITIAL_BLOCKS):
            if name in inputs:
                inputs[name] = keras.ops.convert_to_numpy(inputs[name])
        if len(rotated) == 1:
            return (inputs,)
        targets = {
            name: keras.ops.convert_to_numpy(blocks)
            for name, blocks in rotated[1].items()
        }
        return (inputs, targets, *rotated[2:])

    def on_epoch_end(self):
        """Goes on to the rotations, and the order, of the next epoch."""
        self.dataset.on_epoch_end()
        self._epoch += 1

    def get_state(self):
        """What the next items depend on besides the seeds: a dict."""
        return {**self.dataset.get_state(), "rotation_epoch": self._epoch}

    def set_state(self, state):
        """Goes to the order and the rotations of an epoch; see `get_state`."""
        state = dict(state)
        self._epoch = int(state.pop("rotation_epoch"))
        self.dataset.set_state(state)
