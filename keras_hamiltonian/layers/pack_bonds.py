"""Bond features as one tensor."""

import keras

from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.packing import pack_bonds


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class PackBonds(keras.layers.Layer):
    """Joins bond features of all kinds into one tensor.

    For data sets that keep the features of a stage.

    Args:
        irreps: str. Irreps whose channels the bond features have.

    Call arguments:
        bonds: bond features (see `keras_hamiltonian.ops.bonds`).

    Output shape: `(N, M, size)`, kind after kind, components outer, channels
        inner.

    Example:

    >>> layer = PackBonds("4x0e + 2x1o")
    >>> bonds = {
    ...     "0+": keras.ops.zeros((3, 5, 1, 6)),
    ...     "1": keras.ops.zeros((3, 5, 2, 2)),
    ... }
    >>> tuple(layer(bonds).shape)
    (3, 5, 10)
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps)
        self.channels = bond_channels(self.irreps_in)

    def build(self, bonds_shape=None):
        self.built = True

    def call(self, bonds):
        return pack_bonds(bonds, self.channels)

    def compute_output_shape(self, bonds_shape):
        leading = tuple(next(iter(bonds_shape.values()))[:2])
        return (*leading, self.irreps_in.dim)

    def get_config(self):
        return {**super().get_config(), "irreps": str(self.irreps_in)}
