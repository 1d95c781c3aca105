"""Attention of each atom over its edges, exactly symmetric and smooth."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.convolution.message_sum import MessageSum
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend

# Scores stay within ±LIMIT, so that no exponential overflows.
LIMIT = 5.0


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeAttention(Layer):
    """Sums edge features at each atom, weighted by softmax over the edges.

    Scores come from the invariant channels (`"0+"`), one for every head; values
    are rotated out of the frames of their edges before the sum, so the result
    rotates with the crystal. An edge counts `(1 - relative²)³ exp(score)`, and
    the sum of weights is divided by one plus itself: weights go to zero
    smoothly where an edge ends, and an atom may look at nothing.

    Args:
        irreps_in: str. `EdgeIrreps` of the edges.
        irreps_out: str. Irreps of the sums.
        num_heads: int. Divides the channels of every kind.
        edge_dropout: float. Fraction of the edges that an atom does not see in
            training.

    Call arguments:
        edges: edge features.
        envelope: `(N, M)`. The weight of each edge before attention.
        wigner: list of tensors from `EdgeGeometry`.

    Output shape: `(N, irreps_out.dim)`, `ir_mul` layout.
    Raises: `ValueError` if the heads do not divide the channels.

    Example:

    >>> layer = EdgeAttention("8x0+ + 4x1", "4x0e + 2x1o", num_heads=2)
    >>> edges = {
    ...     "0+": keras.ops.ones((5, 7, 1, 8)),
    ...     "1": keras.ops.ones((5, 7, 2, 4)),
    ... }
    >>> wigner = [keras.ops.ones((5, 7, d, d)) for d in (1, 3)]
    >>> tuple(layer(edges, keras.ops.ones((5, 7)), wigner).shape)
    (5, 10)
    """

    def __init__(
        self, irreps_in, irreps_out, num_heads=4, edge_dropout=0.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.irreps_in = EdgeIrreps(irreps_in)
        self.irreps_out = Irreps(irreps_out).regrouped()
        self.num_heads = num_heads
        if any(n % num_heads for n in self.irreps_in.values()):
            raise ValueError(
                "`num_heads` must divide the channels of every kind. Received: "
                f"num_heads={num_heads}, channels {self.irreps_in}, which "
                "follow from the hidden irreps. Take irreps whose "
                f"multiplicities are multiples of {num_heads}, or a group with "
                "another `num_heads`."
            )
        own = {"dtype": self.dtype_policy}
        self.linear = SO2Linear(
            [self.irreps_in],
            self.irreps_out,
            use_bias=False,
            name="linear",
            **own,
        )
        # With `noise_shape` the mask follows from a seed of the layer on torch.
        self.dropout = keras.layers.Dropout(edge_dropout, (None, None), **own)
        self.message_sum = MessageSum(
            str(self.irreps_out), name="message_sum", **own
        )

    def build(self, *shapes):
        self.linear.build()
        self.message_sum.build()
        size = self.irreps_in["0+"]
        self.kernel = self.add_weight(
            shape=(size, self.num_heads),
            initializer=Normal(stddev=size**-0.5),
            name="kernel",
        )

    def call(self, edges, envelope, wigner, training=None):
        envelope = self.dropout.call(envelope, training)
        weights = self.attention_weights(edges, envelope)
        values = self.linear.call([self.weighted(edges, weights)])
        return self.message_sum.call(values, wigner)

    def weighted(self, edges, weights):
        """Edge features, the channels of each head times its weight.

        Args:
            edges: edge features.
            weights: `(N, M, num_heads)`.

        Returns:
            Edge features.
        """
        result = {}
        for kind, x in edges.items():
            *leading, size = backend.shape(x)
            heads = (*leading, self.num_heads, size // self.num_heads)
            y = backend.reshape(x, heads) * weights[:, :, None, :, None]
            result[kind] = backend.reshape(y, (*leading, size))
        return result

    def attention_weights(self, edges, envelope):
        """Weights of all edges, with the arguments of the call.

        Returns:
            `(N, M, num_heads)`: zero at padding and where an edge ends, with a
            sum below one over the edges of an atom.
        """
        weights = backend.exp(self.scores(edges)) * envelope[..., None]
        return weights / (1 + backend.sum(weights, axis=1, keepdims=True))

    def scores(self, edges):
        """Scores of all edges before the softmax.

        Returns:
            `(N, M, num_heads)`, within ±5.
        """
        scalars = backend.layer_normalize(edges["0+"][:, :, 0], 0.1)
        scores = backend.dense(scalars, self.kernel.value)
        # 2 sigmoid(2x) - 1 is tanh(x).
        return LIMIT * (2 * backend.sigmoid(scores * (2 / LIMIT)) - 1)

    def compute_output_shape(self, edges_shape, envelope_shape, wigner_shape):
        return (envelope_shape[0], self.irreps_out.dim)
