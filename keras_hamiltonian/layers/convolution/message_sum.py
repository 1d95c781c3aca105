"""Messages of all edges of an atom, summed."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops.edges import sum_over_edges


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class MessageSum(Layer):
    """Rotates messages out of the edge frames and adds them up at each atom.

    Args:
        irreps: str. Irreps of the messages.

    Call arguments:
        messages: edge features, as `EquivariantConvolution` returns them.
        weighted_wigner: list of tensors from `EdgeEnvelope`.

    Output shape: `(N, irreps.dim)`, `ir_mul` layout.

    Example:

    >>> messages = {"0+": keras.ops.ones((3, 2, 1, 4))}
    >>> layer = MessageSum("4x0e")
    >>> sums = layer(messages, [keras.ops.ones((3, 2, 1, 1))])
    >>> keras.ops.convert_to_numpy(sums)[0].tolist()
    [2.0, 2.0, 2.0, 2.0]
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_out = Irreps(irreps)

    def call(self, messages, weighted_wigner):
        return sum_over_edges(messages, self.irreps_out, weighted_wigner)

    def compute_output_shape(self, messages_shape, weighted_wigner_shape):
        return (weighted_wigner_shape[0][0], self.irreps_out.dim)
