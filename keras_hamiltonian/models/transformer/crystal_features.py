"""Features of a first stage as plain vectors in the axes of the crystal."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.crystal_axes import edges_to_axes
from keras_hamiltonian.ops.crystal_axes import rotate_irreps
from keras_hamiltonian.ops.packing import unpack_edges


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class CrystalFeatures(Layer):
    """Rotates the features of one group and normalises their components.

    Features of edges leave their frames for the axes of the rotated crystal,
    those of atoms rotate with it while training. Each vector is then normalised
    over all its components (layer norm; the scale and shift that usually
    follow are part of the next dense layer). This is not equivariant, by
    intention: what follows is free to mix components.

    Args:
        irreps: str. Irreps of the features of atoms and edges.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        edges: `(N, M, irreps.dim)` from `PackEdges`.
        frames: dict from `RotatedFrames`.

    Output: a dict of `"atoms"` and `"edges"`, of the shapes of the inputs.

    Example:

    >>> wigner = [keras.ops.ones((2, 5, d, d)) for d in (1, 3)]
    >>> found = CrystalFeatures("4x0e + 2x1o")(
    ...     keras.ops.ones((2, 10)),
    ...     keras.ops.ones((2, 5, 10)),
    ...     {"wigner": wigner, "rotation": []},
    ... )
    >>> tuple(found["edges"].shape)
    (2, 5, 10)

    Reference: Yin et al., arXiv 2401.00744, covariant feature integration.
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps)

    def call(self, atoms, edges, frames, training=None):
        irreps = self.irreps_in
        # The list is empty in a model that does not rotate crystals.
        if training and frames["rotation"]:
            atoms = rotate_irreps(atoms, irreps, frames["rotation"])
        unpacked = unpack_edges(edges, EdgeIrreps(irreps))
        edges = edges_to_axes(unpacked, irreps, frames["wigner"])
        return {
            "atoms": backend.layer_normalize(atoms, 1e-5),
            "edges": backend.layer_normalize(edges, 1e-5),
        }

    def compute_output_shape(self, atoms_shape, edges_shape):
        return {"atoms": tuple(atoms_shape), "edges": tuple(edges_shape)}
