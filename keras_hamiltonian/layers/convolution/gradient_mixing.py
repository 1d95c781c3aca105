"""Invariants of features, and features along the gradient of invariants."""

import keras

from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels

# Terms that are invariant themselves.
SCALARS = ("0e", "0+")
# Added to mean squares, see `EdgeNorm`.
EPSILON = 0.1
SMALLEST = 1e-12
# The same of gradients, whose size is set anew.
EPSILON_GRADIENT = 1e-4


class GradientMixing(Layer):
    """What `EdgeGradientMixing` and `AtomGradientMixing` share.

    Features are dicts of `(..., d, channels)` tensors, whose d components are
    those of one irrep. With n, the features normalised term by term:

    - s: scalars as they are, and of every other term contractions
      `s_p = ½ |a_p|²` with `a = n A`, A being learned. The matrix W_p of
      `½ n W_p nᵀ` is the square of one column of A, which costs two thin
      matrix products; the network that follows makes differences of them.
    - z = silu(s K + b) U, invariant.
    - v = ∂(Σ z)/∂n in closed form: with g = ∂(Σ z)/∂s it is g itself for
      scalars and (g ⊙ a) Aᵀ for every other term. It rotates as n does.
    - f + step · |f| · v / |v|, norms being those of a term.

    Args:
        channels: dict from the name of a term to its channels.
        step: float. How far features go along the gradient, in units of their
            own size; with 0 they stay as they are.
        num_contractions: int. Of each term that is not scalar.
        num_invariants: int. Numbers in z.
        hidden: int. Width of the network that makes z.
    """

    def __init__(
        self,
        channels,
        step,
        num_contractions,
        num_invariants,
        hidden,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.channels = dict(channels)
        self.step = step
        self.num_contractions = num_contractions
        self.num_invariants = num_invariants
        self.hidden = hidden
        self.sizes = {
            name: n if name in SCALARS else num_contractions
            for name, n in self.channels.items()
        }

    def build(self, *shapes):
        normal = keras.initializers.LecunNormal()
        self.projection = None
        if self._pairs():
            # One flat weight: optimizers take a time per weight.
            self.projection = self.add_weight(
                shape=(sum(self._pairs().values()) * self.num_contractions,),
                initializer=self._initialize,
                name="projection",
            )
        self.kernel = self.add_weight(
            shape=(sum(self.sizes.values()), self.hidden),
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
        normed = {name: _normalized(name, x) for name, x in features.items()}
        projections = self._projections()
        projected = {
            name: backend.dense(normed[name], projection)
            for name, projection in projections.items()
        }
        inner = self._inner({**normed, **projected})
        invariants = backend.dense(backend.silu(inner), self.kernel_out.value)
        if not self.step:
            return dict(features), invariants
        gradients = self._gradients(inner, projected, projections)
        mixed = {
            name: x + self.step * _size(x) * _unit(gradients[name])
            for name, x in features.items()
        }
        return mixed, invariants

    def _inner(self, found):
        """What enters the activation, `(..., hidden)`."""
        contractions = [
            found[name][..., 0, :]
            if name in SCALARS
            else 0.5 * backend.sum(found[name] * found[name], axis=-2)
            for name in self.sizes
        ]
        s = join_channels(contractions)
        return backend.dense(s, self.kernel.value) + self.bias.value

    def _gradients(self, inner, projected, projections):
        """v, a dict of tensors as the features."""
        gate = backend.sigmoid(inner)
        slope = gate * (1.0 + inner * (1.0 - gate))  # the derivative of SiLU
        slope = slope * backend.sum(self.kernel_out.value, axis=-1)
        g = backend.dense(slope, backend.swapaxes(self.kernel.value, 0, 1))
        found = {}
        pieces = split_channels(g, list(self.sizes.values()))
        for name, piece in zip(self.sizes, pieces):
            v = piece[..., None, :]
            if name not in SCALARS:
                back = backend.swapaxes(projections[name], 0, 1)
                v = backend.dense(v * projected[name], back)
            found[name] = v
        return found

    def _pairs(self):
        """Channels of the terms that are not scalar."""
        return {k: n for k, n in self.channels.items() if k not in SCALARS}

    def _projections(self):
        """A, a matrix for each of them."""
        if self.projection is None:
            return {}
        sizes = [n * self.num_contractions for n in self._pairs().values()]
        pieces = split_channels(self.projection.value, sizes)
        return {
            name: backend.reshape(piece, (n, self.num_contractions))
            for (name, n), piece in zip(self._pairs().items(), pieces)
        }

    def _initialize(self, shape, dtype=None):
        values = [
            keras.initializers.RandomNormal(stddev=n**-0.5)(
                (n * self.num_contractions,), dtype
            )
            for n in self._pairs().values()
        ]
        return keras.ops.concatenate(values)


def _normalized(name, x):
    if name in SCALARS:
        return backend.layer_normalize(x, EPSILON)
    return backend.rms_normalize(x, EPSILON, num_axes=2)


def _unit(gradient):
    return backend.rms_normalize(gradient, EPSILON_GRADIENT, num_axes=2)


def _size(x):
    """Root mean square over components and channels."""
    number = x.shape[-1] * x.shape[-2]
    square = backend.sum(x * x, axis=(-2, -1), keepdims=True) * (1 / number)
    return backend.sqrt(square + SMALLEST)
