"""Features of edges a step along the gradient of their invariants."""

import keras

from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.layers.convolution.gradient_mixing import GradientMixing


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeGradientMixing(GradientMixing):
    """Mixes the kinds of an edge by a non-linear function of its invariants.

    A network of invariants is free to be non-linear; its gradient with
    respect to the features, written out, rotates as they do (`GradientMixing`
    has the formulas). So all kinds act on all others, and nothing needs to be
    differentiated for a prediction. In contrast to the paper the ratio |f|/|v|
    is not kept out of derivatives, which are therefore exact.

    Args:
        irreps: str. `EdgeIrreps` of the features.
        step: float. Change of the features in units of their size. With 0 the
            layer only computes invariants.
        num_invariants: int. Invariants that the layer returns.
        hidden: int. Width of the network.

    Call arguments:
        edges: edge features (see `keras_hamiltonian.ops.edges`).

    Output: the mixed edge features, and the invariants
        `(N, M, num_invariants)`.

    Example:

    >>> layer = EdgeGradientMixing("4x0+ + 3x1")
    >>> edges = {
    ...     "0+": keras.ops.ones((2, 5, 1, 4)),
    ...     "1": keras.ops.ones((2, 5, 2, 3)),
    ... }
    >>> mixed, invariants = layer(edges)
    >>> tuple(mixed["1"].shape), tuple(invariants.shape)
    ((2, 5, 2, 3), (2, 5, 32))

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
        irreps = EdgeIrreps(irreps)
        super().__init__(
            irreps,
            {kind: edge_dim(kind) for kind in irreps},
            step,
            num_invariants,
            hidden,
            **kwargs,
        )

    def call(self, edges):
        return self.mix(edges)

    def compute_output_shape(self, edges_shape):
        leading = tuple(next(iter(edges_shape.values()))[:2])
        return dict(edges_shape), (*leading, self.num_invariants)
