"""What a bond's length and its two elements say."""

import keras
import numpy as np

from keras_hamiltonian.layers.species_pairs import pair_index
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class RadialFeatures(keras.layers.Layer):
    """Gaussians of the bond length, and an embedding of the pair of elements.

    Args:
        num_gaussians: int. How many, evenly spaced from 0 to `cutoff`, as wide
            as their spacing.
        cutoff: float. Å.
        num_species: int. Elements in the basis.
        embedding_size: int. Numbers per ordered pair of elements; with one
            element there is no embedding.

    Call arguments:
        lengths: `(N, M)`, Å.
        species: `(N,)` int.
        neighbors: `(N, M)` int.

    Output shape: `(N, M, features)`.
    """

    def __init__(
        self, num_gaussians, cutoff, num_species, embedding_size=16, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_gaussians = num_gaussians
        self.cutoff = cutoff
        self.num_species = num_species
        self.embedding_size = embedding_size
        self.features = num_gaussians
        if num_species > 1:
            self.features += embedding_size
            self.embedding = self.add_weight(
                shape=(num_species**2, embedding_size),
                initializer=keras.initializers.RandomNormal(stddev=1.0),
                name="embedding",
            )

    def build(self, lengths_shape, species_shape, neighbors_shape):
        self.built = True

    def call(self, lengths, species, neighbors):
        centers = np.linspace(0, self.cutoff, self.num_gaussians)
        width = centers[1] - centers[0]
        centers = backend.constant(centers, lengths)
        scaled = (lengths[..., None] - centers) * (1 / float(width))
        gaussians = backend.exp(-0.5 * scaled * scaled)
        if self.num_species == 1:
            return gaussians
        pairs = pair_index(species, neighbors, self.num_species)
        embedded = backend.take(self.embedding, pairs, axis=0)
        return backend.concatenate([gaussians, embedded], axis=-1)

    def compute_output_shape(
        self, lengths_shape, species_shape, neighbors_shape
    ):
        return (*lengths_shape, self.features)

    def get_config(self):
        return {
            **super().get_config(),
            "num_gaussians": self.num_gaussians,
            "cutoff": self.cutoff,
            "num_species": self.num_species,
            "embedding_size": self.embedding_size,
        }
