"""Features of atoms a step along the gradient of their invariants."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.convolution.gradient_mixing import GradientMixing
from keras_hamiltonian.ops.tensor_product import join_terms
from keras_hamiltonian.ops.tensor_product import split_terms


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class AtomGradientMixing(GradientMixing):
    """Mixes the irreps of an atom by a non-linear function of its invariants.

    The same of atoms that `EdgeGradientMixing` is of edges.

    Args:
        irreps: str. Irreps of the features, each term of a kind of its own.
        step, num_invariants, hidden: see
            `EdgeGradientMixing`.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.

    Output: the mixed features `(N, irreps.dim)`, and the invariants
        `(N, num_invariants)`.
    Raises: `ValueError` if a kind comes twice.

    Example:

    >>> layer = AtomGradientMixing("4x0e + 2x1o")
    >>> mixed, invariants = layer(keras.ops.ones((3, 10)))
    >>> tuple(mixed.shape), tuple(invariants.shape)
    ((3, 10), (3, 32))

    Reference: TraceGrad, Yin et al., arXiv 2405.05722.
    """

    def __init__(
        self,
        irreps,
        step=0.2,
        num_invariants=32,
        hidden=32,
        **kwargs,
    ):
        irreps = Irreps(irreps)
        channels = {str(irrep): mul for mul, irrep in irreps}
        if len(channels) < len(irreps):
            raise ValueError(
                "Every term of `irreps` is of a kind of its own. Received: "
                f"irreps={irreps}. Give {irreps.regrouped()}."
            )
        super().__init__(
            channels,
            {str(irrep): irrep.dim for _, irrep in irreps},
            step,
            num_invariants,
            hidden,
            **kwargs,
        )
        self.irreps_in = self.irreps_out = irreps

    def call(self, atoms):
        names = [str(irrep) for _, irrep in self.irreps_in]
        terms = dict(zip(names, split_terms(atoms, self.irreps_in)))
        mixed, invariants = self.mix(terms)
        return join_terms(list(mixed.values()), self.irreps_in), invariants

    def compute_output_shape(self, atoms_shape):
        return tuple(atoms_shape), (atoms_shape[0], self.num_invariants)
