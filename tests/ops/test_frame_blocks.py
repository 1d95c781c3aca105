import keras
import numpy as np
import pytest

from keras_hamiltonian.irreps import edge_frames
from keras_hamiltonian.irreps import wigner_d_matrix
from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.ops.edge_blocks import frame_blocks
from keras_hamiltonian.ops.edge_blocks import rotate_blocks_out
from keras_hamiltonian.ops.edge_blocks import shell_rotations
from keras_hamiltonian.ops.wigner_d import wigner_d
from keras_hamiltonian.orbitals.block_layout import BlockLayout

# The largest first: JAX, which compiles for seconds, takes it alone.
SHELLS = [{"C": "1s 2p", "N": "3s 1p 1d"}, {"C": "2s 1p 1d"}, {"C": "2s"}]
SHELLS = SHELLS[: 1 if keras.config.backend() == "jax" else None]


def tensors(arrays):
    return keras.tree.map_structure(keras.ops.convert_to_tensor, arrays)


@pytest.mark.parametrize("basis", SHELLS)
@pytest.mark.parametrize("part", ["scalar", "vector"])
def test_blocks_come_back_from_their_channels(basis, part):
    """Orbitals' NumPy takes blocks apart; ops put them together again."""
    layout = BlockLayout(basis, "noncollinear")
    random = np.random.default_rng(0)
    rows = layout.basis.num_rows
    shape = (6, rows, rows) if part == "scalar" else (6, 3, rows, rows)
    blocks = random.normal(size=shape)
    frames = edge_frames(random.normal(size=(6, 3)))
    channels = layout.edge_channels(part, blocks, frames)
    channels = {k: x[:, None] for k, x in channels.items()}
    # The atom axis has the six edges, each atom one neighbour.
    wigner = wigner_d(tensors(frames[:, None]), max(layout.lmax, 1))
    hopping = layout.hopping[part]
    found = rotate_blocks_out(
        frame_blocks(tensors(channels), hopping),
        shell_rotations(wigner, hopping),
    )
    found = keras.ops.convert_to_numpy(found)[:, 0]
    if part == "vector":
        # Spin components still stand in the frame: rows 0-, then the pair.
        axial = frame_rows(1, natural=False) @ wigner_d_matrix(1, frames)
        found = np.einsum("est,esab->etab", axial, found)
    np.testing.assert_allclose(found, blocks, atol=1e-12)


def test_rotations_are_the_block_diagonal_of_numpy():
    layout = BlockLayout({"C": [2, 0, 1, 0]}).hopping["scalar"]
    frames = edge_frames(np.random.default_rng(1).normal(size=(2, 3, 3)))
    found = shell_rotations(wigner_d(tensors(frames), 2), layout)
    expected = np.zeros((2, 3, layout.num_rows, layout.num_rows))
    start = 0
    for l in layout.shells:
        stop = start + 2 * l + 1
        expected[..., start:stop, start:stop] = wigner_d_matrix(l, frames)
        start = stop
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found),
        layout.frame_transform @ expected,
        atol=1e-13,
    )
