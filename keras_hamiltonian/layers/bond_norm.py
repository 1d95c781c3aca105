"""Normalisation of bond features."""

import keras

from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.normalize import layer_normalize
from keras_hamiltonian.ops.normalize import rms_normalize


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BondNorm(keras.layers.Layer):
    """Gives every kind of every bond unit size, with a learned scale.

    Args:
        irreps: str. Irreps whose channels the bond features have.
        epsilon: float. Added to the mean square.

    Input and output: bond features (see `keras_hamiltonian.ops.bonds`).
    """

    def __init__(self, irreps, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = self.irreps_out = Irreps(irreps)
        self.epsilon = epsilon
        self.scales = {
            kind: self.add_weight(
                shape=(channels,), initializer="ones", name=f"scale_{kind}"
            )
            for kind, channels in bond_channels(self.irreps_in).items()
        }
        self.bias = self.add_weight(
            shape=self.scales["0+"].shape, initializer="zeros", name="bias"
        )

    def build(self, bonds_shape):
        self.built = True

    def call(self, bonds):
        result = {}
        for kind, x in bonds.items():
            if kind == "0+":
                y = layer_normalize(x, self.epsilon)
                result[kind] = y * self.scales[kind] + self.bias
            else:
                y = rms_normalize(x, self.epsilon, num_axes=2)
                result[kind] = y * self.scales[kind]
        return result

    def compute_output_shape(self, bonds_shape):
        return dict(bonds_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "irreps": str(self.irreps_in),
            "epsilon": self.epsilon,
        }
