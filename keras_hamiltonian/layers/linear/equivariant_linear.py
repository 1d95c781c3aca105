"""Linear map of irreps."""

import keras
import numpy as np

from keras_hamiltonian.irreps.irreps import Irrep
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edges import join_channels
from keras_hamiltonian.ops.edges import split_channels


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EquivariantLinear(Layer):
    """Mixes channels of equal irrep; the only linear map rotation allows.

    Args:
        irreps_in: str. Input irreps, e.g. `"8x0e + 4x1o"`.
        irreps_out: str. Output irreps, each term of a kind of its own.
        num_species: int. If given, every element has weights of its own and
            the layer takes `species` as a second argument.
        use_bias: bool. Adds a bias to `0e`. Defaults to `True`.
        gain: float. Factor of the initial standard deviation
            `1 / sqrt(channels in)`.

    Call arguments:
        features: `(N, irreps_in.dim)`, `ir_mul` layout.
        species: `(N,)` int, if `num_species` is given.

    Output shape: `(N, irreps_out.dim)`.
    Units: those of the input.
    Raises: `ValueError` if an output irrep has no input of its kind.

    Example:

    >>> layer = EquivariantLinear("8x0e + 4x1o", "2x1o")
    >>> tuple(layer(keras.ops.ones((5, 20))).shape)
    (5, 6)
    """

    def __init__(
        self,
        irreps_in,
        irreps_out,
        num_species=None,
        use_bias=True,
        gain=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps_in)
        self.irreps_out = Irreps(irreps_out)
        self.num_species = num_species
        self.use_bias = use_bias
        self.gain = gain
        missing = [
            str(irrep)
            for _, irrep in self.irreps_out
            if self.irreps_in.count(irrep) == 0
        ]
        if missing:
            raise ValueError(
                "Every irrep of `irreps_out` needs an input of the same kind; "
                f"{', '.join(missing)} is unreachable. Received: irreps_in="
                f"{irreps_in}, irreps_out={irreps_out}. Remove it, or produce "
                "it in the convolution before this layer."
            )
        # One flat weight: optimizers take a time per weight, not per number.
        self.kernel_shapes = [
            (self.irreps_in.count(irrep), mul) for mul, irrep in self.irreps_out
        ]

    def build(self, *shapes):
        species = self.num_species or 1
        self.kernel = self.add_weight(
            shape=(species, sum(a * b for a, b in self.kernel_shapes)),
            initializer=self._initialize,
            name="kernel",
        )
        # Matrices for optimizers that look at them, such as `Muon`.
        self.kernel.matrix_shapes = self.kernel_shapes
        self.bias = None
        scalars = self.irreps_out.count("0e")
        if self.use_bias and scalars:
            self.bias = self.add_weight(
                shape=(species, scalars), initializer="zeros", name="bias"
            )

    def call(self, features, species=None):
        sizes = [mul * irrep.dim for mul, irrep in self.irreps_in]
        terms = {}
        for (mul, irrep), term in zip(
            self.irreps_in, split_channels(features, sizes)
        ):
            term = backend.reshape(term, (-1, irrep.dim, mul))
            terms.setdefault(irrep, []).append(term)
        flat = self.kernel.value
        kernels = split_channels(flat, [a * b for a, b in self.kernel_shapes])
        pieces = []
        for (mul, irrep), shape, kernel in zip(
            self.irreps_out, self.kernel_shapes, kernels
        ):
            kernel = backend.reshape(kernel, (-1, *shape))
            bias = self.bias if irrep == Irrep(0, 1) else None
            x = join_channels(terms[irrep])
            y = self._mix(x, kernel, bias, species)
            pieces.append(backend.reshape(y, (-1, irrep.dim * mul)))
        return join_channels(pieces)

    def _mix(self, x, kernel, bias, species):
        bias = None if bias is None else bias.value
        if self.num_species is None or self.num_species == 1:
            y = backend.dense(x, kernel[0])
            return y if bias is None else y + bias[0]
        total = None
        for k in range(self.num_species):
            y = backend.dense(x, kernel[k])
            y = y if bias is None else y + bias[k]
            is_species = backend.cast(backend.equal(species, k), y.dtype)
            y = y * is_species[:, None, None]
            total = y if total is None else total + y
        return total

    def compute_output_shape(self, features_shape):
        return (*features_shape[:-1], self.irreps_out.dim)

    def _initialize(self, shape, dtype=None):
        deviations = [
            np.full(a * b, self.gain * a**-0.5) for a, b in self.kernel_shapes
        ]
        return Normal(np.concatenate(deviations))(shape, dtype)
