"""Products of the features of an atom with themselves."""

import keras
import numpy as np

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.irreps.symmetric_couplings import count_symmetric_paths
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.normal import Normal
from keras_hamiltonian.ops.symmetric_contraction import check_contraction
from keras_hamiltonian.ops.symmetric_contraction import symmetric_contraction


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class SelfTensorProduct(Layer):
    """Learned polynomial of the features of each channel.

    From sums over neighbours its terms of order ν make correlations of ν
    neighbours, three- and four-body functions without a sum over pairs.

    Args:
        irreps_in, irreps_out: str. All terms of both have the same
            multiplicity: channels stay apart.
        correlation: int. Highest order; all from 1 are there. Defaults to 2.
        num_species: int. If given, every element has weights of its own and
            the layer takes `species` as a second argument.

    Call arguments:
        features: `(N, irreps_in.dim)`, `ir_mul` layout.
        species: `(N,)` int, if `num_species` is given.

    Output shape: `(N, irreps_out.dim)`.
    Raises: `ValueError` if multiplicities differ or an output irrep is in no
        product.

    Example:

    >>> layer = SelfTensorProduct("8x0e + 8x1o", "8x0e + 8x2e", correlation=3)
    >>> tuple(layer(keras.ops.ones((5, 32))).shape)
    (5, 48)

    Reference: MACE, Batatia et al. 2022.
    """

    def __init__(
        self,
        irreps_in,
        irreps_out,
        correlation=2,
        num_species=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps_in)
        self.irreps_out = Irreps(irreps_out)
        self.correlation = correlation
        self.num_species = num_species
        self.num_paths = check_contraction(
            self.irreps_in, self.irreps_out, correlation
        )

    def build(self, *shapes):
        species = () if self.num_species is None else (self.num_species,)
        self.kernel = self.add_weight(
            shape=(*species, self.num_paths, self.irreps_in[0][0]),
            initializer=self._initialize,
            name="kernel",
        )

    def call(self, features, species=None):
        return symmetric_contraction(
            features,
            self.kernel.value,
            self.irreps_in,
            self.irreps_out,
            self.correlation,
            species,
        )

    def compute_output_shape(self, features_shape):
        return (*features_shape[:-1], self.irreps_out.dim)

    def _initialize(self, shape, dtype=None):
        counts = count_symmetric_paths(
            self.irreps_in, self.irreps_out, self.correlation
        )
        # Paths that end in one term share its variance.
        scales = [
            sum(n) ** -0.5 for n in counts.values() for _ in range(sum(n))
        ]
        return Normal(np.array(scales)[:, None])(shape, dtype)
