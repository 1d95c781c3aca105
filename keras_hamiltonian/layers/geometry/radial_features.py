"""What an edge's length and its two elements say."""

import keras
import numpy as np

from keras_hamiltonian.layers.geometry.species_pairs import pair_index
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class RadialFeatures(Layer):
    """A small network of the edge's length and the pair of elements.

    Gaussians of the length, next to an embedding of the pair of elements,
    pass dense layers with SiLU. All convolutions share the result.

    Args:
        num_gaussians: int. How many, evenly spaced from 0 to `reach`, as wide
            as their spacing.
        reach: float. Å.
        num_species: int. Elements in the basis.
        units: sequence of int. Sizes of the dense layers.
        embedding_size: int. Numbers per ordered pair of elements; with one
            element there is no embedding.

    Call arguments:
        lengths: `(N, M)`, Å.
        species: `(N,)` int.
        neighbors: `(N, M)` int.

    Output shape: `(N, M, units[-1])`.

    Example:

    >>> layer = RadialFeatures(8, reach=4.0, num_species=2, units=(6, 5))
    >>> features = layer(
    ...     lengths=keras.ops.ones((2, 1)),
    ...     species=keras.ops.convert_to_tensor([0, 1]),
    ...     neighbors=keras.ops.convert_to_tensor([[1], [0]]),
    ... )
    >>> tuple(features.shape)
    (2, 1, 5)
    """

    def __init__(
        self,
        num_gaussians,
        reach,
        num_species,
        units=(64, 64),
        embedding_size=16,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_gaussians = num_gaussians
        self.reach = reach
        self.num_species = num_species
        self.units = tuple(units)
        self.embedding_size = embedding_size

    def build(self, *shapes):
        sizes = [self.num_gaussians, *self.units]
        if self.num_species > 1:
            sizes[0] += self.embedding_size
            self.embedding = self.add_weight(
                shape=(self.num_species**2, self.embedding_size),
                initializer=Normal(stddev=1.0),
                name="embedding",
            )
        self.kernels = [
            self.add_weight(
                shape=(a, b),
                initializer=keras.initializers.HeNormal(),
                name=f"kernel_{k}",
            )
            for k, (a, b) in enumerate(zip(sizes, sizes[1:]))
        ]
        self.biases = [
            self.add_weight(
                shape=(size,), initializer="zeros", name=f"bias_{k}"
            )
            for k, size in enumerate(sizes[1:])
        ]

    def call(self, lengths, species, neighbors):
        centers = np.linspace(0, self.reach, self.num_gaussians)
        width = centers[1] - centers[0]
        centers = backend.constant(centers, lengths)
        scaled = (lengths[..., None] - centers) * (1 / float(width))
        # The squares of neighbouring Gaussians sum to sqrt(pi); this makes
        # their mean square one, as initial weights expect.
        size = (self.num_gaussians / np.pi**0.5) ** 0.5
        gaussians = size * backend.exp(-0.5 * scaled * scaled)
        x = gaussians
        if self.num_species > 1:
            pairs = pair_index(species, neighbors, self.num_species)
            embedded = backend.take(self.embedding.value, pairs, axis=0)
            x = backend.concatenate([gaussians, embedded], axis=-1)
        for kernel, bias in zip(self.kernels, self.biases):
            x = backend.silu(backend.dense(x, kernel.value) + bias.value)
        return x

    def compute_output_shape(self, lengths_shape):
        return (*lengths_shape, self.units[-1])
