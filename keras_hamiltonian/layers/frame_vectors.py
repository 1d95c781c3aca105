"""Vectors of a turned crystal, turned back."""

import keras

from keras_hamiltonian.irreps.bond import bond_channels
from keras_hamiltonian.irreps.bond import bond_dim
from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.ops.crystal_axes import axes_to_bonds
from keras_hamiltonian.ops.crystal_axes import turn_irreps


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class FrameVectors(keras.layers.Layer):
    """Takes vectors of atoms and bonds to where readouts expect them.

    Vectors of atoms, in the axes of the turned crystal, are turned back; those
    of bonds go into the frames of their bonds. The inverse of what
    `CrystalFeatures` does before it normalises.

    Args:
        irreps: str. What the vectors are.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        bonds: `(N, M, irreps.dim)`, `ir_mul` layout.
        frames: dict from `TurnedFrames`.

    Output: a dict of `"atoms"` `(N, irreps.dim)` and `"bonds"`, bond features.

    Example:

    >>> wigner = [keras.ops.ones((2, 5, 3, 3))]
    >>> found = FrameVectors("4x0e + 2x1o")(
    ...     keras.ops.ones((2, 10)),
    ...     keras.ops.ones((2, 5, 10)),
    ...     {"wigner": wigner, "rotation": []},
    ... )
    >>> {kind: tuple(x.shape) for kind, x in found["bonds"].items()}
    {'0+': (2, 5, 1, 6), '1': (2, 5, 2, 2)}
    """

    def __init__(self, irreps, **kwargs):
        super().__init__(**kwargs)
        self.irreps_out = Irreps(irreps)

    def build(self, atoms_shape=None, bonds_shape=None, frames_shape=None):
        self.built = True

    def call(self, atoms, bonds, frames, training=None):
        irreps = self.irreps_out
        # The list is empty in a model that does not turn crystals.
        if training and frames["rotation"]:
            atoms = turn_irreps(atoms, irreps, frames["rotation"], inverse=True)
        return {
            "atoms": atoms,
            "bonds": axes_to_bonds(bonds, irreps, frames["wigner"]),
        }

    def compute_output_shape(self, atoms_shape, bonds_shape, frames_shape):
        leading = tuple(bonds_shape[:2])
        channels = bond_channels(self.irreps_out).items()
        bonds = {k: (*leading, bond_dim(k), size) for k, size in channels}
        return {"atoms": tuple(atoms_shape), "bonds": bonds}

    def get_config(self):
        return {**super().get_config(), "irreps": str(self.irreps_out)}
