"""Features of a first stage as plain vectors in the axes of the crystal."""

import keras

from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.crystal_axes import bonds_to_axes
from keras_hamiltonian.ops.crystal_axes import turn_irreps
from keras_hamiltonian.ops.packing import unpack_bonds


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class CrystalFeatures(keras.layers.Layer):
    """Turns the features of one group and normalises their components.

    Features of bonds leave their frames for the axes of the turned crystal,
    those of atoms turn with it while training. Each vector is then normalised
    over all its components (layer norm; the scale and shift that usually
    follow are part of the next dense layer). This is not equivariant, by
    intention: what follows is free to mix components.

    Args:
        irreps: str. Irreps of the features of atoms and bonds.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        bonds: `(N, M, irreps.dim)` from `PackBonds`.
        frames: dict from `TurnedFrames`.

    Output: a dict of `"atoms"` and `"bonds"`, of the shapes of the inputs.

    Example:

    >>> wigner = [keras.ops.ones((2, 5, 3, 3))]
    >>> found = CrystalFeatures("4x0e + 2x1o")(
    ...     keras.ops.ones((2, 10)),
    ...     keras.ops.ones((2, 5, 10)),
    ...     {"wigner": wigner, "rotation": []},
    ... )
    >>> tuple(found["bonds"].shape)
    (2, 5, 10)

    Reference: Yin et al., arXiv 2401.00744, covariant feature integration.
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps)

    def build(self, atoms_shape=None, bonds_shape=None, frames_shape=None):
        self.built = True

    def call(self, atoms, bonds, frames, training=None):
        irreps = self.irreps_in
        # The list is empty in a model that does not turn crystals.
        if training and frames["rotation"]:
            atoms = turn_irreps(atoms, irreps, frames["rotation"])
        unpacked = unpack_bonds(bonds, bond_channels(irreps))
        bonds = bonds_to_axes(unpacked, irreps, frames["wigner"])
        return {
            "atoms": backend.layer_normalize(atoms, 1e-5),
            "bonds": backend.layer_normalize(bonds, 1e-5),
        }

    def compute_output_shape(self, atoms_shape, bonds_shape, frames_shape):
        return {"atoms": tuple(atoms_shape), "bonds": tuple(bonds_shape)}

    def get_config(self):
        return {**super().get_config(), "irreps": str(self.irreps_in)}
