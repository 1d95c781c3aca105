"""Messages of all bonds of an atom, summed."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.bonds import sum_over_bonds


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class MessageSum(keras.layers.Layer):
    """Turns messages out of the bond frames and adds them up at each atom.

    Args:
        irreps: str. Irreps of the messages.
        num_neighbors: float. Typical number of neighbours; the sum is divided
            by its root.

    Call arguments:
        messages: bond features, as `EquivariantConvolution` returns them.
        wigner: list of tensors from `BondGeometry`.
        envelope: `(N, M)`. Weight of each bond: goes to zero at the reach, and
            is zero at padding.

    Output shape: `(N, irreps.dim)`, `ir_mul` layout.
    """

    def __init__(self, irreps, num_neighbors=20.0, **kwargs):
        super().__init__(**kwargs)
        self.irreps_out = Irreps(irreps)
        self.num_neighbors = num_neighbors

    def build(self, messages_shape, wigner_shape, envelope_shape):
        self.built = True

    def call(self, messages, wigner, envelope):
        weight = envelope[:, :, None, None] * self.num_neighbors**-0.5
        weighted = {kind: x * weight for kind, x in messages.items()}
        return sum_over_bonds(weighted, self.irreps_out, wigner)

    def compute_output_shape(
        self, messages_shape, wigner_shape, envelope_shape
    ):
        return (envelope_shape[0], self.irreps_out.dim)

    def get_config(self):
        return {
            **super().get_config(),
            "irreps": str(self.irreps_out),
            "num_neighbors": self.num_neighbors,
        }
