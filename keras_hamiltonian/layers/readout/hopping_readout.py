"""Hopping blocks from edge features."""

import keras

from keras_hamiltonian.irreps.edge_irreps import EdgeIrreps
from keras_hamiltonian.layers.layer import Layer
from keras_hamiltonian.layers.linear.so2_linear import SO2Linear
from keras_hamiltonian.ops import backend
from keras_hamiltonian.ops.edge_blocks import frame_blocks
from keras_hamiltonian.ops.edge_blocks import rotate_blocks_out
from keras_hamiltonian.ops.edge_blocks import shell_rotations
from keras_hamiltonian.ops.edges import split_channels
from keras_hamiltonian.ops.spin import join_parts
from keras_hamiltonian.orbitals.block_layout import BlockLayout


@keras.saving.register_keras_serializable(package="keras_hamiltonian")
class HoppingReadout(Layer):
    """Linear map to the edge channels of the blocks, scaled, rotated out.

    Args:
        basis: dict. Shells of each element.
        irreps: str. `EdgeIrreps` of the edge features.
        spin: str. Spin layout of the blocks.
        gain: float. Factor of the initial weights; with 0 the layer returns
            the mean until it is trained.

    Call arguments:
        edges: edge features.
        mean, scale: dicts from `TwoCentreBaseline` (`"hopping_mean"`,
            `"hopping_scale"`), eV.
        wigner: list of tensors from `EdgeGeometry`.

    Output shape: `(N, M, rows, rows)`, with spin
        `(N, M, 2, 2, 2, rows, rows)`; eV.
    Raises: `ValueError` if a kind of channel has no input.

    Example:

    >>> layer = HoppingReadout({"H": "1s"}, "4x0+")
    >>> edges = {"0+": keras.ops.ones((2, 1, 1, 4))}
    >>> mean = scale = {"scalar": keras.ops.ones((2, 1, 1))}
    >>> wigner = [keras.ops.ones((2, 1, 1, 1))]
    >>> tuple(layer(edges, mean, scale, wigner).shape)
    (2, 1, 1, 1)
    """

    def __init__(self, basis, irreps, spin="none", gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.irreps_in = EdgeIrreps(irreps)
        self.gain = gain
        self.layout = BlockLayout(basis, spin)
        self.linear = {}
        for part in self.layout.parts:
            wanted = self.layout.hopping[part].channels
            missing = sorted(set(wanted) - set(self.irreps_in))
            if missing:
                raise ValueError(
                    f"Blocks of the basis {self.layout.basis.to_dict()} have "
                    f"edge channels of kind {', '.join(missing)}, which the "
                    f"features {self.irreps_in} do not. Add irreps of higher "
                    "degree or of the other parity."
                )
            self.linear[part] = SO2Linear(
                [self.irreps_in],
                wanted,
                gain=gain,
                dtype=self.dtype_policy,
                name=f"linear_{part}",
            )

    def build(self, *shapes):
        for linear in self.linear.values():
            linear.build()

    def call(self, edges, mean, scale, wigner):
        # Both parts of a spinful block are tables of the same shells.
        rotations = shell_rotations(wigner, self.layout.hopping["scalar"])
        parts = {}
        for part in self.layout.parts:
            layout = self.layout.hopping[part]
            sizes = list(layout.channels.values())
            scales = split_channels(scale[part][:, :, None], sizes)
            channels = self.linear[part].call([edges])
            channels = {
                kind: channels[kind] * factor
                for kind, factor in zip(layout.channels, scales)
            }
            channels["0+"] = channels["0+"] + mean[part][:, :, None]
            parts[part] = self._rotated(channels, layout, rotations, wigner)
        return join_parts(parts, self.layout)

    def compute_output_shape(self, edges_shape):
        block = self.layout.basis.block_shape(self.layout.spin)
        return (*edges_shape["0+"][:2], *block)

    def _rotated(self, channels, layout, rotations, wigner):
        blocks = frame_blocks(channels, layout)
        blocks = rotate_blocks_out(blocks, rotations)
        if layout.part == "scalar":
            return blocks
        # Rows of the Wigner matrix are z, x, y of the frame; an axial vector
        # has them as z, y, -x.
        z, x, y = (wigner[1][:, :, k] for k in range(3))
        axial = backend.stack([z, y, -x], axis=2)
        shape = backend.shape(blocks)
        flat = backend.reshape(blocks, (*shape[:3], -1))
        rotated = backend.swapaxes(axial, -1, -2) @ flat
        return backend.reshape(rotated, shape)
