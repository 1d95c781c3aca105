"""Linear map of edge features."""

import keras

from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.so2_linear import so2_linear


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class SO2Linear(keras.layers.Layer):
    """Mixes the channels of each kind of one or more edge features.

    Args:
        channels_in: list of dicts from kind to number of channels, one for
            each edge feature of the call.
        channels_out: dict from kind to number of channels. Kinds that no input
            has are left out of the result.
        use_bias: bool. Adds a bias to `"0+"`.
        gain: float. Factor of the initial standard deviation
            `1 / sqrt(channels in)`.

    Call arguments:
        inputs: list of edge features (see `keras_hamiltonian.ops.edges`).

    Output: edge features.

    Example:

    >>> layer = SO2Linear([{"0+": 4, "1": 2}], {"0+": 3, "1": 5, "2": 1})
    >>> edges = {
    ...     "0+": keras.ops.ones((3, 2, 1, 4)),
    ...     "1": keras.ops.ones((3, 2, 2, 2)),
    ... }
    >>> {kind: tuple(x.shape) for kind, x in layer([edges]).items()}
    {'0+': (3, 2, 1, 3), '1': (3, 2, 2, 5)}
    """

    def __init__(
        self, channels_in, channels_out, use_bias=True, gain=1.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.channels_in = [dict(c) for c in channels_in]
        self.channels_out = dict(channels_out)
        self.use_bias = use_bias
        self.gain = gain
        self.kernel_shapes = {}
        for kind, size in self.channels_out.items():
            sizes = [c.get(kind, 0) for c in self.channels_in]
            if sum(sizes):
                self.kernel_shapes[kind] = (sizes, size)

    @property
    def kinds_out(self):
        """Dict from kind to channels of what the layer returns."""
        return {k: self.channels_out[k] for k in self.kernel_shapes}

    def build(self, inputs_shape=None):
        self.kernel = self.add_weight(
            shape=(sum(sum(a) * b for a, b in self.kernel_shapes.values()),),
            initializer=self._initialize,
            name="kernel",
        )
        self.bias = None
        if self.use_bias and "0+" in self.kernel_shapes:
            self.bias = self.add_weight(
                shape=(self.channels_out["0+"],),
                initializer="zeros",
                name="bias",
            )

    def call(self, inputs):
        bias = None if self.bias is None else self.bias.value
        return so2_linear(inputs, self.kernels(), bias)

    def compute_output_shape(self, inputs_shape):
        leading = next(iter(inputs_shape[0].values()))[:2]
        return {
            kind: (*leading, edge_dim(kind), size)
            for kind, size in self.kinds_out.items()
        }

    def get_config(self):
        return {
            **super().get_config(),
            "channels_in": self.channels_in,
            "channels_out": self.channels_out,
            "use_bias": self.use_bias,
            "gain": self.gain,
        }

    def kernels(self):
        """The flat kernel as one matrix for each kind and input."""
        sizes = [
            n * size for ins, size in self.kernel_shapes.values() for n in ins
        ]
        flat = self.kernel.value
        pieces = iter(split_channels(flat, sizes))
        return {
            kind: [
                backend.reshape(piece, (n, size)) if n else None
                for n, piece in zip(ins, pieces)
            ]
            for kind, (ins, size) in self.kernel_shapes.items()
        }

    def _initialize(self, shape, dtype=None):
        values = [
            keras.random.normal(
                (sum(ins) * size,),
                stddev=self.gain * sum(ins) ** -0.5,
                dtype=dtype,
            )
            for ins, size in self.kernel_shapes.values()
        ]
        return keras.ops.concatenate(values)
