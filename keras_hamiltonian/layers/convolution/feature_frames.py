"""Features of a first stage, seen in the frames of the edges."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.convolution.edge_ends import EdgeEnds
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.norms.edge_norm import EdgeNorm
from keras_hamiltonian.layers.norms.equivariant_norm import EquivariantNorm
from keras_hamiltonian.ops.packing import unpack_edges


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class FeatureFrames(Layer):
    """Unpacks, normalises and rotates the features of one group of a stage.

    Args:
        irreps: str. Irreps of the features of atoms and edges.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        edges: `(N, M, irreps.dim)` from `PackEdges`.
        wigner: list of Wigner matrices from `GraphGeometry`.
        reverse_edge: `(N, M)` int.

    Output: a dict of `"atoms"` (normalised), the edge features `"edges"`,
        `"center"` and `"neighbor"`.

    Example:

    >>> layer = FeatureFrames("4x0e + 2x1o")
    >>> frames = layer(
    ...     keras.ops.ones((2, 10)),
    ...     keras.ops.ones((2, 3, 10)),
    ...     [keras.ops.ones((2, 3, d, d)) for d in (1, 3)],
    ...     keras.ops.convert_to_tensor([[0, 1, 2], [3, 4, 5]]),
    ... )
    >>> {kind: tuple(x.shape) for kind, x in frames["neighbor"].items()}
    {'0+': (2, 3, 1, 6), '1': (2, 3, 2, 2)}
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps)
        own = {"dtype": self.dtype_policy}
        irreps = str(self.irreps_in)
        self.edge_norm = EdgeNorm(name="edge_norm", **own)
        self.atom_norm = EquivariantNorm(irreps, name="atom_norm", **own)
        self.edge_ends = EdgeEnds(irreps, name="edge_ends", **own)

    def build(self, *shapes):
        for layer in (self.edge_norm, self.atom_norm, self.edge_ends):
            layer.build()

    def call(self, atoms, edges, wigner, reverse_edge):
        edges = unpack_edges(edges, EdgeIrreps(self.irreps_in))
        atoms = self.atom_norm.call(atoms)
        ends = self.edge_ends.call(atoms, wigner, reverse_edge)
        return {
            "atoms": atoms,
            "edges": self.edge_norm.call(edges),
            **ends,
        }

    def compute_output_shape(self, atoms_shape, edges_shape):
        leading = tuple(edges_shape[:2])
        shapes = EdgeIrreps(self.irreps_in).shapes(leading)
        return {
            "atoms": tuple(atoms_shape),
            "edges": shapes,
            "center": dict(shapes),
            "neighbor": dict(shapes),
        }
