"""The two atoms of a bond, seen in the frame of the bond."""

import keras

from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.irreps.bond import bond_dim
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.bonds import rotate_both_ends


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class BondEnds(keras.layers.Layer):
    """Turns the features of both atoms into the frames of their bonds.

    Args:
        irreps: str. Irreps of the atoms' features.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        wigner: list of tensors from `BondGeometry`.
        reverse_edge: `(N, M)` int.

    Output: a dict of `"center"` and `"neighbor"`, bond features each.
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps)

    def build(
        self, atoms_shape=None, wigner_shape=None, reverse_edge_shape=None
    ):
        self.built = True

    def call(self, atoms, wigner, reverse_edge):
        center, neighbor = rotate_both_ends(
            atoms, self.irreps_in, wigner, reverse_edge
        )
        return {"center": center, "neighbor": neighbor}

    def compute_output_shape(
        self, atoms_shape, wigner_shape, reverse_edge_shape
    ):
        leading = tuple(reverse_edge_shape)
        shapes = {
            kind: (*leading, bond_dim(kind), channels)
            for kind, channels in bond_channels(self.irreps_in).items()
        }
        return {"center": shapes, "neighbor": dict(shapes)}

    def get_config(self):
        return {**super().get_config(), "irreps": str(self.irreps_in)}
