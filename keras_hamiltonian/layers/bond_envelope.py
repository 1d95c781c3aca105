"""How a bond fades out at the reach of its orbitals."""

import keras
import numpy as np

from keras_hamiltonian.layers.species_pairs import pair_index


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BondEnvelope(keras.layers.Layer):
    """Distance relative to the reach of the pair, and a smooth cut-off.

    Args:
        reaches: list of float. Reach of each element's orbitals in Å, in the
            order of the basis; a pair reaches the sum of both.

    Call arguments:
        lengths: `(N, M)`, Å.
        species: `(N,)` int.
        neighbors: `(N, M)` int.
        edge_mask: `(N, M)`.

    Output: a dict of `"relative"` `(N, M)`, the length over the pair's reach,
        and `"envelope"` `(N, M)`, `(1 - relative²)³` inside the reach and zero
        outside and at padding: two continuous derivatives.
    """

    def __init__(self, reaches, **kwargs):
        super().__init__(**kwargs)
        self.reaches = [float(r) for r in reaches]

    def build(
        self, lengths_shape, species_shape, neighbors_shape, edge_mask_shape
    ):
        self.built = True

    def call(self, lengths, species, neighbors, edge_mask):
        number = len(self.reaches)
        reach = np.add.outer(self.reaches, self.reaches).ravel()
        reach = keras.ops.convert_to_tensor(reach, dtype=lengths.dtype)
        pairs = pair_index(species, neighbors, number)
        relative = lengths / keras.ops.take(reach, pairs, axis=0)
        inside = keras.ops.relu(1 - relative * relative)
        envelope = inside * inside * inside * edge_mask
        return {"relative": relative, "envelope": envelope}

    def compute_output_shape(
        self, lengths_shape, species_shape, neighbors_shape, edge_mask_shape
    ):
        shape = tuple(lengths_shape)
        return {"relative": shape, "envelope": shape}

    def get_config(self):
        return {**super().get_config(), "reaches": self.reaches}
