"""Residual update of bond features."""

import keras

from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.irreps.bond import bond_dim
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.so2_linear import SO2Linear


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BondUpdate(keras.layers.Layer):
    """Adds a linear map of the messages to the bond features.

    Args:
        irreps_bonds: str. Irreps whose channels the bond features have.
        irreps_messages: str. The same of the messages.
        irreps_out: str. The same of the result; if it differs from
            `irreps_bonds`, the bond features pass a linear map too.

    Call arguments:
        bonds: bond features.
        messages: bond features.

    Output: bond features.
    """

    def __init__(self, irreps_bonds, irreps_messages, irreps_out, **kwargs):
        super().__init__(**kwargs)
        self.irreps_bonds = Irreps(irreps_bonds)
        self.irreps_messages = Irreps(irreps_messages)
        self.irreps_out = Irreps(irreps_out)
        self.channels_out = bond_channels(self.irreps_out)
        self.linear = SO2Linear(
            [bond_channels(self.irreps_messages)],
            self.channels_out,
            dtype=self.dtype_policy,
            name="linear",
        )
        self.skip = None
        if self.irreps_bonds != self.irreps_out:
            self.skip = SO2Linear(
                [bond_channels(self.irreps_bonds)],
                self.channels_out,
                use_bias=False,
                dtype=self.dtype_policy,
                name="skip",
            )

    def build(self, bonds_shape=None, messages_shape=None):
        self.linear.build()
        if self.skip is not None:
            self.skip.build()

    def call(self, bonds, messages):
        result = dict(self.linear.call([messages]))
        kept = bonds if self.skip is None else self.skip.call([bonds])
        for kind, x in kept.items():
            result[kind] = result[kind] + x if kind in result else x
        return result

    def compute_output_shape(self, bonds_shape, messages_shape):
        leading = tuple(next(iter(messages_shape.values()))[:2])
        kinds = set(self.linear.kinds_out)
        kept = bonds_shape if self.skip is None else self.skip.kinds_out
        return {
            kind: (*leading, bond_dim(kind), size)
            for kind, size in self.channels_out.items()
            if kind in kinds or kind in kept
        }

    def get_config(self):
        return {
            **super().get_config(),
            "irreps_bonds": str(self.irreps_bonds),
            "irreps_messages": str(self.irreps_messages),
            "irreps_out": str(self.irreps_out),
        }
