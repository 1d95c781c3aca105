"""A network of the roll angle about each edge."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.roll import roll_coefficients
from keras_hamiltonian.ops.roll import roll_kinds
from keras_hamiltonian.ops.roll import roll_samples


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class RollNetwork(Layer):
    """Products of edge features, of all degrees with all others.

    A linear map gives every kind to `mmax` the same channels; they are the
    Fourier coefficients of functions of the roll angle about the edge. At each
    of a few angles two dense layers act on the channels and are multiplied,
    a third one follows, with a factor from the edge's length and elements,
    and the result goes back to coefficients. In contrast to a gate all
    degrees act on all others. A product of two functions has components to
    `2 * mmax`; `3 * mmax + 1` angles keep those beyond `mmax` out of the
    result, so the layer commutes with the roll exactly. A function such as
    SiLU has components without end; only the scalars pass it, on the way in.

    Pairs of both parities rotate and reflect alike, so mirror symmetry holds
    too. Pseudoscalars (`"0-"`) are functions of no angle and are left out.

    Args:
        irreps_in: list of str. `EdgeIrreps` of each edge feature of the call.
        channels: int. Channels of each kind in the result.
        hidden: int. Number of products.
        mmax: int. Largest kind.
        radial_size: int. Numbers per edge from `RadialFeatures`.

    Call arguments:
        inputs: list of edge features (see `keras_hamiltonian.ops.edges`).
        radial: `(N, M, radial_size)`.

    Output: edge features with the kinds `"0+"`, `"1"`, ..., `str(mmax)`.

    Example:

    >>> layer = RollNetwork(["4x0+ + 2x1"], 8, 16, mmax=2, radial_size=3)
    >>> edges = {
    ...     "0+": keras.ops.ones((5, 7, 1, 4)),
    ...     "1": keras.ops.ones((5, 7, 2, 2)),
    ... }
    >>> result = layer([edges], keras.ops.ones((5, 7, 3)))
    >>> {kind: tuple(x.shape) for kind, x in result.items()}
    {'0+': (5, 7, 1, 8), '1': (5, 7, 2, 8), '2': (5, 7, 2, 8)}

    Raises: `ValueError` if `mmax` is below 1.

    Reference: after the grid activations on the sphere of EquiformerV2, Liao
        et al., arXiv 2306.12059, which are not exact.
    """

    def __init__(
        self,
        irreps_in,
        channels,
        hidden,
        mmax,
        radial_size=64,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.irreps_in = [EdgeIrreps(i) for i in irreps_in]
        self.channels = channels
        self.hidden = hidden
        self.mmax = mmax
        self.radial_size = radial_size
        if mmax < 1:
            raise ValueError(f"`mmax` is at least 1. Received: {mmax}.")
        self.num_angles = 3 * mmax + 1
        self.irreps_out = EdgeIrreps(dict.fromkeys(roll_kinds(mmax), channels))
        self.linear = SO2Linear(
            self.irreps_in,
            self.irreps_out,
            dtype=self.dtype_policy,
            name="linear",
        )

    def build(self, *shapes):
        self.linear.build()
        sizes = {
            "kernel_first": (self.channels, self.hidden),
            "kernel_second": (self.channels, self.hidden),
            "kernel_out": (self.hidden, self.channels),
            "radial_kernel": (self.radial_size, self.channels),
        }
        for name, (size_in, size_out) in sizes.items():
            initializer = Normal(stddev=size_in**-0.5)
            weight = self.add_weight(
                shape=(size_in, size_out),
                initializer=initializer,
                name=name,
            )
            setattr(self, name, weight)
        self.bias_first = self.add_weight(
            shape=(self.hidden,), initializer="zeros", name="bias_first"
        )
        # One, so that the products contain what comes in.
        self.bias_second = self.add_weight(
            shape=(self.hidden,), initializer="ones", name="bias_second"
        )
        self.radial_bias = self.add_weight(
            shape=(self.channels,), initializer="ones", name="radial_bias"
        )

    def call(self, inputs, radial):
        x = self.linear.call(inputs)
        if len(x) < len(self.irreps_out):
            x = self._fill(x)
        x["0+"] = backend.silu(x["0+"])
        x = roll_samples(x, self.mmax, self.num_angles)
        first = backend.sum_of_products(
            [x], [self.kernel_first.value], self.bias_first.value
        )
        second = backend.sum_of_products(
            [x], [self.kernel_second.value], self.bias_second.value
        )
        x = backend.dense(first * second, self.kernel_out.value)
        factor = backend.sum_of_products(
            [radial], [self.radial_kernel.value], self.radial_bias.value
        )
        return roll_coefficients(x * factor[:, :, None], self.mmax)

    def compute_output_shape(self, inputs_shape, radial_shape):
        return self.irreps_out.shapes(tuple(radial_shape[:2]))

    def _fill(self, edges):
        """Zeros for the kinds that no input has."""
        like = next(iter(edges.values()))
        shapes = self.irreps_out.shapes(backend.shape(like)[:2])
        return {
            kind: edges[kind]
            if kind in edges
            else backend.zeros(shape, dtype=like.dtype)
            for kind, shape in shapes.items()
        }
