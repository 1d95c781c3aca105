"""Invariants of features, and features along the gradient of invariants."""

import functools

import keras
import numpy as np

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels

# Terms that are invariant themselves.
SCALARS = ("0e", "0+")
# Added to mean squares: of features, see `EdgeNorm`; of gradients.
EPSILON = 0.1
EPSILON_GRADIENT = 1e-4
# Keeps the derivative of a square root finite.
SMALLEST = 1e-12


class GradientMixing(Layer):
    """What `EdgeGradientMixing` and `AtomGradientMixing` share.

    Features f are dicts of `(..., d, channels)` tensors, whose d components
    are those of one irrep. With n, the features normalised term by term:

    - s: scalars as they are, and `½ |n_c|²` of every other channel c.
    - z = silu(s K + b) U, invariant. K holds the weights of all scalar
      products; those of different channels would add nothing, because the
      linear maps around this layer choose what the channels are.
    - v = ∂(Σ z)/∂n in closed form: with g = ∂(Σ z)/∂s it is g for scalars and
      `g_c n_c` for every other channel. It rotates as n does.
    - f + step · |f| · v / |v|, with the norm of each term for f and that of g,
      over all channels, for v: a factor `1 + step · g_c / |g|` of every
      channel that is not scalar.

    Args:
        channels: dict from the name of a term to its channels.
        dims: dict from the name of a term to its components.
        step: float. How far features go along the gradient, in units of their
            own size; with 0 they stay as they are.
        num_invariants: int. Numbers in z.
        hidden: int. Width of the network that makes z.
    """

    def __init__(self, channels, dims, step, num_invariants, hidden, **kwargs):
        super().__init__(**kwargs)
        self.names = sorted(channels, key=lambda name: name not in SCALARS)
        self.sizes = [channels[name] for name in self.names]
        self.dims = [dims[name] for name in self.names]
        self.step = step
        self.num_invariants = num_invariants
        self.hidden = hidden

    def build(self, *shapes):
        normal = keras.initializers.LecunNormal()
        self.kernel = self.add_weight(
            shape=(sum(self.sizes), self.hidden),
            initializer=normal,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.hidden,), initializer="zeros", name="bias"
        )
        self.kernel_out = self.add_weight(
            shape=(self.hidden, self.num_invariants),
            initializer=normal,
            name="kernel_out",
        )

    def mix(self, features):
        """Features a step along the gradient, and the invariants z."""
        inner = self._inner(features)
        gate = backend.sigmoid(inner)
        invariants = backend.dense(inner * gate, self.kernel_out.value)
        if not self.step:
            return features, invariants
        unit = backend.rms_normalize(
            self._slopes(inner, gate), EPSILON_GRADIENT, num_axes=1
        )
        mixed = {}
        for name, u in zip(self.names, split_channels(unit, self.sizes)):
            x, u = features[name], u[..., None, :]
            if name in SCALARS:
                mixed[name] = x + self.step * _root_mean_square(x) * u
            else:
                mixed[name] = x * (1.0 + self.step * u)
        return {name: mixed[name] for name in features}, invariants

    def _inner(self, features):
        """What enters the activation, s K + b."""
        scalars, squares = [], []
        for name in self.names:
            x = features[name]
            if name in SCALARS:
                x = backend.layer_normalize(x, EPSILON)
                scalars.append(x[..., 0, :])
            else:
                squares.append(backend.sum(x * x, axis=-2))
        if squares:
            squares = join_channels(squares)
            mean, spread = (
                backend.constant(matrix, squares) for matrix in self._matrices
            )
            scale = 0.5 / (backend.dense(squares, mean) + EPSILON)
            scalars.append(squares * backend.dense(scale, spread))
        s = join_channels(scalars)
        return backend.dense(s, self.kernel.value) + self.bias.value

    def _slopes(self, inner, gate):
        """g."""
        slopes = gate * (1.0 + inner * (1.0 - gate))  # the derivative of SiLU
        slopes = slopes * backend.sum(self.kernel_out.value, axis=-1)
        return backend.dense(
            slopes, backend.transpose(self.kernel.value, (1, 0))
        )

    @functools.cached_property
    def _matrices(self):
        """From squares of channels to the mean square of each term that is not
        scalar, and from terms to their channels."""
        terms = [
            (size, dim)
            for name, size, dim in zip(self.names, self.sizes, self.dims)
            if name not in SCALARS
        ]
        sizes, dims = np.array(terms).T
        spread = np.eye(len(terms))[:, np.repeat(np.arange(len(terms)), sizes)]
        return (spread / (sizes * dims)[:, None]).T, spread


def _root_mean_square(x):
    square = backend.sum(x * x, axis=-1, keepdims=True) * (1 / x.shape[-1])
    return backend.sqrt(square + SMALLEST)
