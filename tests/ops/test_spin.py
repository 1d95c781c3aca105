import keras
import numpy as np
import pytest

from keras_hamiltonian.ops.spin import hermitian_transpose
from keras_hamiltonian.ops.spin import join_parts
from keras_hamiltonian.orbitals.block_layout import BlockLayout

BASIS = {"C": "1s 1p"}


@pytest.mark.parametrize("time_reversal", [True, False])
def test_joining_is_the_inverse_of_splitting(time_reversal):
    layout = BlockLayout(BASIS, "noncollinear", time_reversal)
    random = np.random.default_rng(0)
    parts = {
        part: random.normal(
            size=(2, 3, 4, 4) if "scalar" in part else (2, 3, 3, 4, 4)
        )
        for part in layout.parts
    }
    blocks = keras.ops.convert_to_numpy(
        join_parts(
            {k: keras.ops.convert_to_tensor(x) for k, x in parts.items()},
            layout,
        )
    )
    assert blocks.shape == (2, 3, 2, 2, 2, 4, 4)
    found = layout.split(blocks.reshape(6, 2, 2, 2, 4, 4))
    for part, x in parts.items():
        expected = x.reshape(6, *x.shape[2:])
        np.testing.assert_allclose(found[part], expected, atol=1e-14)
    if time_reversal:
        whole = blocks[:, :, 0] + 1j * blocks[:, :, 1]
        uu, ud = whole[:, :, 0, 0], whole[:, :, 0, 1]
        du, dd = whole[:, :, 1, 0], whole[:, :, 1, 1]
        np.testing.assert_array_equal(dd, uu.conj())
        np.testing.assert_array_equal(du, -ud.conj())


def test_blocks_without_spin_are_their_only_part():
    x = keras.ops.ones((2, 4, 4))
    assert join_parts({"scalar": x}, BlockLayout(BASIS)) is x


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_hermitian_transpose(spin):
    random = np.random.default_rng(1)
    shape = (3, 4, 4) if spin == "none" else (3, 2, 2, 2, 4, 4)
    blocks = random.normal(size=shape)
    found = keras.ops.convert_to_numpy(
        hermitian_transpose(keras.ops.convert_to_tensor(blocks), spin)
    )
    if spin == "none":
        np.testing.assert_array_equal(found, blocks.swapaxes(1, 2))
        return

    def matrices(x):
        whole = x[:, 0] + 1j * x[:, 1]
        return whole.transpose(0, 1, 3, 2, 4).reshape(3, 8, 8)

    np.testing.assert_array_equal(
        matrices(found), matrices(blocks).conj().swapaxes(1, 2)
    )
