"""Wigner matrices of all degrees as one tensor."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops.packing import pack_wigner


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class PackWigner(Layer):
    """Joins the Wigner matrices of the edges, from l = 1 on, into one tensor.

    Call arguments:
        wigner: list of `(N, M, 2l+1, 2l+1)` tensors from `EdgeGeometry`.

    Output shape: `(N, M, Σ (2l+1)²)`.

    Example:

    >>> layer = PackWigner()
    >>> wigner = [keras.ops.ones((4, 2, d, d)) for d in (1, 3)]
    >>> tuple(layer(wigner).shape)
    (4, 2, 9)
    """

    def call(self, wigner):
        return pack_wigner(wigner)

    def compute_output_shape(self, wigner_shape):
        leading = tuple(wigner_shape[0][:2])
        return (*leading, sum(shape[-1] ** 2 for shape in wigner_shape[1:]))
