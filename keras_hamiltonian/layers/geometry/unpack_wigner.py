"""Wigner matrices of all degrees from one tensor."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops.packing import unpack_wigner


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class UnpackWigner(Layer):
    """The list of Wigner matrices that `PackWigner` joined.

    Args:
        lmax: int. Largest degree.

    Call arguments:
        packed: `(N, M, Σ (2l+1)²)`.

    Output: list of `(N, M, 2l+1, 2l+1)` tensors for l = 0..lmax.

    Example:

    >>> [tuple(w.shape) for w in UnpackWigner(2)(keras.ops.zeros((4, 2, 34)))]
    [(4, 2, 1, 1), (4, 2, 3, 3), (4, 2, 5, 5)]
    """

    def __init__(self, lmax, **kwargs):
        super().__init__(**kwargs)
        self.lmax = lmax

    def call(self, packed):
        return unpack_wigner(packed, self.lmax)

    def compute_output_shape(self, packed_shape):
        degrees = range(self.lmax + 1)
        leading = tuple(packed_shape[:2])
        return [(*leading, 2 * l + 1, 2 * l + 1) for l in degrees]
