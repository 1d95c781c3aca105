"""Onsite blocks from atom features."""

import keras

from keras_hamiltonian.irreps.irreps import Irreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.equivariant_linear import EquivariantLinear
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.spin import join_parts
from keras_hamiltonian.orbitals.block_layout import BlockLayout


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class OnsiteReadout(Layer):
    """Linear map to the irreps of the onsite blocks, scaled, coupled.

    Args:
        basis: dict. Shells of each element.
        irreps: str. Irreps of the atoms' features.
        spin: str. Spin layout of the blocks.
        gain: float. Factor of the initial weights; with 0 the layer returns
            the mean until it is trained.

    Call arguments:
        atoms: `(N, irreps.dim)`, `ir_mul` layout.
        species: `(N,)` int.
        mean, scale: dicts from `TwoCentreBaseline` (`"onsite_mean"`,
            `"onsite_scale"`), eV.

    Output shape: `(N, rows, rows)`, with spin `(N, 2, 2, 2, rows, rows)`; eV.

    Example:

    >>> layer = OnsiteReadout({"H": "1s"}, "4x0e")
    >>> mean = scale = {"scalar": keras.ops.ones((2, 1))}
    >>> species = keras.ops.convert_to_tensor([0, 0])
    >>> tuple(layer(keras.ops.ones((2, 4)), species, mean, scale).shape)
    (2, 1, 1)
    """

    def __init__(self, basis, irreps, spin="none", gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = Irreps(irreps)
        self.gain = gain
        self.layout = BlockLayout(basis, spin)
        self.linear = {
            part: EquivariantLinear(
                self.irreps_in,
                self.layout.onsite[part].irreps,
                num_species=len(self.layout.basis.symbols),
                gain=gain,
                dtype=self.dtype_policy,
                name=f"linear_{part}",
            )
            for part in self.layout.parts
        }

    def build(self, *shapes):
        for linear in self.linear.values():
            linear.build()

    def call(self, atoms, species, mean, scale):
        rows = self.layout.basis.num_rows
        parts = {}
        for part in self.layout.parts:
            coupling = self.layout.onsite[part]
            x = (
                self.linear[part].call(atoms, species) * scale[part]
                + mean[part]
            )
            matrix = backend.constant(coupling.matrix.T, x)
            spin = () if coupling.part == "scalar" else (3,)
            shape = (-1, *spin, rows, rows)
            parts[part] = backend.reshape(backend.dense(x, matrix), shape)
        return join_parts(parts, self.layout)

    def compute_output_shape(self, atoms_shape):
        block = self.layout.basis.block_shape(self.layout.spin)
        return (atoms_shape[0], *block)
