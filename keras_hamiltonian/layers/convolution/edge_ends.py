"""The two atoms of an edge, seen in the frame of the edge."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops.edges import rotate_both_ends
from keras_hamiltonian.ops.edges import rotate_ends_of_rows


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class EdgeEnds(Layer):
    """Rotates the features of both atoms into the frames of their edges.

    Args:
        irreps: str. Irreps of the atoms' features.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        wigner: list of tensors from `EdgeGeometry`.
        reverse_edge: `(N, M)` int.

    Output: a dict of `"center"` and `"neighbor"`, edge features each.

    Example:

    >>> layer = EdgeEnds("4x0e + 2x1o")
    >>> ends = layer(
    ...     keras.ops.ones((2, 10)),
    ...     wigner=[keras.ops.ones((2, 1, d, d)) for d in (1, 3)],
    ...     reverse_edge=keras.ops.convert_to_tensor([[1], [0]]),
    ... )
    >>> {kind: tuple(x.shape) for kind, x in ends["neighbor"].items()}
    {'0+': (2, 1, 1, 6), '1': (2, 1, 2, 2)}
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps)

    def call(self, atoms, wigner, reverse_edge):
        center, neighbor = rotate_both_ends(
            atoms, self.irreps_in, wigner, reverse_edge
        )
        return {"center": center, "neighbor": neighbor}

    def of_rows(self, own, atoms, wigner, neighbors):
        """The same of the edges of some atoms: see `rotate_ends_of_rows`."""
        center, neighbor = rotate_ends_of_rows(
            own, atoms, self.irreps_in, wigner, neighbors
        )
        return {"center": center, "neighbor": neighbor}

    def compute_output_shape(
        self, atoms_shape, wigner_shape, reverse_edge_shape
    ):
        shapes = EdgeIrreps(self.irreps_in).shapes(tuple(reverse_edge_shape))
        return {"center": shapes, "neighbor": dict(shapes)}
