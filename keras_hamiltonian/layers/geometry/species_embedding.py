"""The element of each atom as numbers."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class SpeciesEmbedding(Layer):
    """A learned row of scalars for each element.

    Args:
        num_species: int. Elements in the basis.
        channels: int. Scalars per atom.

    Call arguments:
        species: `(N,)` int; negative for padding, which gets the first row.

    Output shape: `(N, channels)`.

    Example:

    >>> layer = SpeciesEmbedding(num_species=2, channels=3)
    >>> tuple(layer(keras.ops.convert_to_tensor([0, 1, 1, -1])).shape)
    (4, 3)
    """

    def __init__(self, num_species, channels, **kwargs):
        super().__init__(**kwargs)
        self.num_species = num_species
        self.channels = channels

    def build(self, *shapes):
        self.table = self.add_weight(
            shape=(self.num_species, self.channels),
            initializer=Normal(stddev=1.0),
            name="table",
        )

    def call(self, species):
        return backend.take(
            self.table.value,
            backend.maximum(species, 0),
            axis=0,
        )

    def compute_output_shape(self, species_shape):
        return (*species_shape, self.channels)
