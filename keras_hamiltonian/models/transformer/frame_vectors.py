"""Vectors of a rotated crystal, rotated back."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.ops.crystal_axes import axes_to_edges
from keras_hamiltonian.ops.crystal_axes import rotate_irreps


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class FrameVectors(Layer):
    """Takes vectors of atoms and edges to where readouts expect them.

    Vectors of atoms are rotated back from the axes of the rotated crystal;
    those of edges go into the frames of their edges. The inverse of what
    `CrystalFeatures` does before it normalises.

    Args:
        irreps: str. What the vectors are.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        edges: `(N, M, irreps.dim)`, `ir_mul` layout.
        frames: dict from `RotatedFrames`.

    Output: a dict of `"atoms"` `(N, irreps.dim)` and `"edges"`, edge features.

    Example:

    >>> wigner = [keras.ops.ones((2, 5, d, d)) for d in (1, 3)]
    >>> found = FrameVectors("4x0e + 2x1o")(
    ...     keras.ops.ones((2, 10)),
    ...     keras.ops.ones((2, 5, 10)),
    ...     {"wigner": wigner, "rotation": []},
    ... )
    >>> {kind: tuple(x.shape) for kind, x in found["edges"].items()}
    {'0+': (2, 5, 1, 6), '1': (2, 5, 2, 2)}
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_out = Irreps(irreps)

    def call(self, atoms, edges, frames, training=None):
        irreps = self.irreps_out
        # The list is empty in a model that does not rotate crystals.
        if training and frames["rotation"]:
            atoms = rotate_irreps(
                atoms, irreps, frames["rotation"], inverse=True
            )
        return {
            "atoms": atoms,
            "edges": axes_to_edges(edges, irreps, frames["wigner"]),
        }

    def compute_output_shape(self, atoms_shape, edges_shape):
        edges = EdgeIrreps(self.irreps_out).shapes(tuple(edges_shape[:2]))
        return {"atoms": tuple(atoms_shape), "edges": edges}
