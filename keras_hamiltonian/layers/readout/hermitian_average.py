"""Hermitian by construction."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.spin import hermitian_transpose


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class HermitianAverage(Layer):
    """Mean of every block and the Hermitian transpose of its partner.

    The network writes the blocks of (i, j, R) and (j, i, -R) from different
    features; their mean is Hermitian and halves the variance of the error.

    Args:
        spin: str. Spin layout of the blocks.

    Call arguments:
        onsite: `(N, [2, 2, 2,] rows, rows)`.
        hopping: `(N, M, [2, 2, 2,] rows, rows)`.
        reverse_edge: `(N, M)` int.

    Output: a dict of `"onsite"` and `"hopping"`, shaped as the inputs.

    Example:

    >>> blocks = HermitianAverage()(
    ...     onsite=keras.ops.convert_to_tensor([[[0.0, 2.0], [0.0, 0.0]]]),
    ...     hopping=keras.ops.ones((1, 1, 2, 2)),
    ...     reverse_edge=keras.ops.convert_to_tensor([[0]]),
    ... )
    >>> keras.ops.convert_to_numpy(blocks["onsite"])[0].tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """

    def __init__(self, spin="none", **kwargs):
        super().__init__(**kwargs)
        self.spin = spin

    def call(self, onsite, hopping, reverse_edge):
        inner = hopping.shape[2:]
        size = 1
        for n in inner:
            size *= n
        flat = backend.reshape(hopping, (-1, size))
        positions = backend.reshape(reverse_edge, (-1,))
        partner = backend.reshape(
            backend.exchange_rows(flat, positions),
            backend.shape(hopping),
        )
        partner = hermitian_transpose(partner, self.spin)
        return {
            "onsite": 0.5 * (onsite + hermitian_transpose(onsite, self.spin)),
            "hopping": 0.5 * (hopping + partner),
        }

    def compute_output_shape(self, onsite_shape, hopping_shape):
        return {
            "onsite": tuple(onsite_shape),
            "hopping": tuple(hopping_shape),
        }
