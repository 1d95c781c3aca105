"""Normalisation of edge features."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeNorm(Layer):
    """Gives every kind of every edge unit size.

    Channels of `"0+"` are layer-normalised; every other kind is divided by its
    root mean square over channels and components. There is no learned scale:
    linear maps follow.

    Args:
        epsilon: float. Added to the mean square. A kind that vanishes by
            symmetry is rounding noise, which every norm multiplies by
            `1 / sqrt(epsilon)`: a small number here breaks the symmetry of
            ideal crystals in float32.

    Input and output: edge features (see `keras_hamiltonian.ops.edges`).

    Example:

    >>> edges = {
    ...     "0+": keras.ops.ones((3, 2, 1, 4)),
    ...     "1": keras.ops.ones((3, 2, 2, 5)),
    ... }
    >>> {kind: tuple(x.shape) for kind, x in EdgeNorm()(edges).items()}
    {'0+': (3, 2, 1, 4), '1': (3, 2, 2, 5)}
    """

    def __init__(self, epsilon=0.1, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, edges):
        return {
            kind: backend.layer_normalize(x, self.epsilon)
            if kind == "0+"
            else backend.rms_normalize(x, self.epsilon, num_axes=2)
            for kind, x in edges.items()
        }

    def compute_output_shape(self, edges_shape):
        return dict(edges_shape)
