"""Residual update of edge features."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeUpdate(Layer):
    """Adds the messages to the edge features.

    Messages come from gated linear maps and are mixed by the next one, so no
    linear map stands in between: on graphene it took 6 to 12 % of a step and
    did not lower the error at learning rates of 0.006 and 0.01 (one seed).

    Args:
        irreps_in: str. `EdgeIrreps` of the edge features.
        irreps_out: str. `EdgeIrreps` of messages and result; if they differ
            from `irreps_in`, the edge features pass a linear map.

    Call arguments:
        edges: edge features.
        messages: edge features.

    Output: edge features.

    Example:

    >>> layer = EdgeUpdate("4x0+", "6x0+ + 2x1")
    >>> edges = {"0+": keras.ops.ones((3, 2, 1, 4))}
    >>> messages = {
    ...     "0+": keras.ops.ones((3, 2, 1, 6)),
    ...     "1": keras.ops.ones((3, 2, 2, 2)),
    ... }
    >>> {kind: tuple(x.shape) for kind, x in layer(edges, messages).items()}
    {'0+': (3, 2, 1, 6), '1': (3, 2, 2, 2)}
    """

    def __init__(self, irreps_in, irreps_out, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = EdgeIrreps(irreps_in)
        self.irreps_out = EdgeIrreps(irreps_out)
        self.skip = None
        if self.irreps_in != self.irreps_out:
            self.skip = SO2Linear(
                [self.irreps_in],
                self.irreps_out,
                use_bias=False,
                dtype=self.dtype_policy,
                name="skip",
            )

    def build(self, *shapes):
        if self.skip is not None:
            self.skip.build()

    def call(self, edges, messages):
        result = dict(messages)
        kept = edges if self.skip is None else self.skip.call([edges])
        for kind, x in kept.items():
            result[kind] = result[kind] + x if kind in result else x
        return result

    def compute_output_shape(self, edges_shape, messages_shape):
        leading = tuple(next(iter(messages_shape.values()))[:2])
        kept = edges_shape if self.skip is None else self.skip.irreps_out
        return {
            kind: shape
            for kind, shape in self.irreps_out.shapes(leading).items()
            if kind in messages_shape or kind in kept
        }
