"""Linear map of edge features."""

import keras
import numpy as np

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.so2_linear import so2_linear


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class SO2Linear(Layer):
    """Mixes the channels of each kind of one or more edge features.

    Args:
        irreps_in: list of str. `EdgeIrreps` of each edge feature of the call.
        irreps_out: str. `EdgeIrreps` of the result; kinds that no input has
            are left out.
        use_bias: bool. Adds a bias to `"0+"`.
        gain: float. Factor of the initial standard deviation
            `1 / sqrt(channels in)`.

    Call arguments:
        inputs: list of edge features (see `keras_hamiltonian.ops.edges`).

    Output: edge features.

    Example:

    >>> layer = SO2Linear(["4x0+ + 2x1"], "3x0+ + 5x1 + 1x2")
    >>> edges = {
    ...     "0+": keras.ops.ones((3, 2, 1, 4)),
    ...     "1": keras.ops.ones((3, 2, 2, 2)),
    ... }
    >>> {kind: tuple(x.shape) for kind, x in layer([edges]).items()}
    {'0+': (3, 2, 1, 3), '1': (3, 2, 2, 5)}
    """

    def __init__(
        self, irreps_in, irreps_out, use_bias=True, gain=1.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.irreps_in = [EdgeIrreps(i) for i in irreps_in]
        wanted = EdgeIrreps(irreps_out)
        self.use_bias = use_bias
        self.gain = gain
        self.kernel_shapes = {}
        for kind, size in wanted.items():
            sizes = [i.get(kind, 0) for i in self.irreps_in]
            if sum(sizes):
                self.kernel_shapes[kind] = (sizes, size)
        self.irreps_out = EdgeIrreps(
            {kind: size for kind, (_, size) in self.kernel_shapes.items()}
        )

    def build(self, *shapes):
        self.kernel = self.add_weight(
            shape=(sum(sum(a) * b for a, b in self.kernel_shapes.values()),),
            initializer=self._initialize,
            name="kernel",
        )
        # Matrices for optimizers that look at them, such as `Muon`.
        self.kernel.matrix_shapes = [
            (sum(ins), size) for ins, size in self.kernel_shapes.values()
        ]
        self.bias = None
        if self.use_bias and "0+" in self.kernel_shapes:
            self.bias = self.add_weight(
                shape=(self.irreps_out["0+"],),
                initializer="zeros",
                name="bias",
            )

    def call(self, inputs):
        bias = None if self.bias is None else self.bias.value
        return so2_linear(inputs, self.kernels(), bias)

    def compute_output_shape(self, inputs_shape):
        leading = next(iter(inputs_shape[0].values()))[:2]
        return self.irreps_out.shapes(leading)

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
        deviations = [
            np.full(sum(ins) * size, self.gain * sum(ins) ** -0.5)
            for ins, size in self.kernel_shapes.values()
        ]
        return Normal(np.concatenate(deviations))(shape, dtype)
