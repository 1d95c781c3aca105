"""First features of an edge."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeEmbedding(Layer):
    """Scalars of an edge from its length and elements.

    Args:
        num_features: int. Radial features that come in.
        channels: int. Scalars (`"0+"`) that go out.

    Call arguments:
        radial: `(N, M, num_features)` from `RadialFeatures`.

    Output: edge features of the kind `"0+"`.

    Example:

    >>> layer = EdgeEmbedding(num_features=6, channels=4)
    >>> edges = layer(keras.ops.ones((3, 2, 6)))
    >>> {kind: tuple(x.shape) for kind, x in edges.items()}
    {'0+': (3, 2, 1, 4)}
    """

    def __init__(self, num_features, channels, **kwargs):
        super().__init__(**kwargs)
        self.num_features = num_features
        self.channels = channels

    def build(self, *shapes):
        self.kernel = self.add_weight(
            shape=(self.num_features, self.channels),
            initializer=Normal(stddev=0.5),
            name="kernel",
        )

    def call(self, radial):
        x = backend.dense(radial, self.kernel.value)
        return {"0+": x[:, :, None]}

    def compute_output_shape(self, radial_shape):
        return {"0+": (*radial_shape[:2], 1, self.channels)}
