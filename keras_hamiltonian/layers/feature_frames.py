"""Features of a first stage, seen in the frames of the edges."""

import keras

from keras_hamiltonian.irreps.edge import edge_channels
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.edge_ends import EdgeEnds
from keras_hamiltonian.layers.edge_norm import EdgeNorm
from keras_hamiltonian.layers.equivariant_norm import EquivariantNorm
from keras_hamiltonian.ops.packing import unpack_edges
from keras_hamiltonian.ops.packing import unpack_wigner


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class FeatureFrames(keras.layers.Layer):
    """Unpacks, normalises and rotates the features of one group of a stage.

    Args:
        irreps: str. Irreps of the features of atoms and edges.
        lmax: int. Largest degree of the Wigner matrices.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        edges: `(N, M, irreps.dim)` from `PackEdges`.
        wigner: `(N, M, Σ (2l+1)²)` from `PackWigner`.
        reverse_edge: `(N, M)` int.

    Output: a dict of `"atoms"` (normalised), the edge features `"edges"`,
        `"center"` and `"neighbor"`, and `"wigner"`, the list of Wigner
        matrices for l = 1..lmax.

    Example:

    >>> layer = FeatureFrames("4x0e + 2x1o", lmax=1)
    >>> frames = layer(
    ...     keras.ops.ones((2, 10)),
    ...     keras.ops.ones((2, 3, 10)),
    ...     keras.ops.ones((2, 3, 9)),
    ...     keras.ops.convert_to_tensor([[0, 1, 2], [3, 4, 5]]),
    ... )
    >>> {kind: tuple(x.shape) for kind, x in frames["neighbor"].items()}
    {'0+': (2, 3, 1, 6), '1': (2, 3, 2, 2)}
    """

    def __init__(self, irreps, lmax, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps)
        self.lmax = lmax
        own = {"dtype": self.dtype_policy}
        irreps = str(self.irreps_in)
        self.edge_norm = EdgeNorm(name="edge_norm", **own)
        self.atom_norm = EquivariantNorm(irreps, name="atom_norm", **own)
        self.edge_ends = EdgeEnds(irreps, name="edge_ends", **own)

    def build(
        self,
        atoms_shape=None,
        edges_shape=None,
        wigner_shape=None,
        reverse_edge_shape=None,
    ):
        for layer in (self.edge_norm, self.atom_norm, self.edge_ends):
            layer.build()

    def call(self, atoms, edges, wigner, reverse_edge):
        wigner = unpack_wigner(wigner, self.lmax)
        edges = unpack_edges(edges, edge_channels(self.irreps_in))
        atoms = self.atom_norm.call(atoms)
        ends = self.edge_ends.call(atoms, wigner, reverse_edge)
        return {
            "atoms": atoms,
            "edges": self.edge_norm.call(edges),
            "wigner": wigner,
            **ends,
        }

    def compute_output_shape(
        self, atoms_shape, edges_shape, wigner_shape, reverse_edge_shape
    ):
        leading = tuple(edges_shape[:2])
        shapes = {
            kind: (*leading, edge_dim(kind), size)
            for kind, size in edge_channels(self.irreps_in).items()
        }
        degrees = range(1, self.lmax + 1)
        return {
            "atoms": tuple(atoms_shape),
            "edges": shapes,
            "center": dict(shapes),
            "neighbor": dict(shapes),
            "wigner": [(*leading, 2 * l + 1, 2 * l + 1) for l in degrees],
        }

    def get_config(self):
        return {
            **super().get_config(),
            "irreps": str(self.irreps_in),
            "lmax": self.lmax,
        }
