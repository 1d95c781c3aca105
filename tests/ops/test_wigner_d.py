import keras
import numpy as np
import pytest
from gradients import assert_near
from gradients import assert_shapes
from gradients import run
from gradients import value_and_gradients

from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps import wigner_d_matrix
from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.ops import edge_frames
from keras_hamiltonian.ops import wigner_d
from keras_hamiltonian.ops.wigner_d import rotation_matrices

LMAX = 8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_to_degree_eight(dtype):
    rotations = random_rotations(6, seed=0)
    rotates = rotations.astype(dtype)
    found = run(lambda r: wigner_d(r, LMAX), rotates)
    plain = run(lambda r: rotation_matrices(r, LMAX), rotates)
    for l, (a, b) in enumerate(zip(found, plain)):
        expected = wigner_d_matrix(l, rotations)
        assert_near(b, expected, dtype, f"l = {l}")
        expected = frame_rows(l) @ expected
        assert_near(a, expected, dtype, f"l = {l}")


def test_against_e3nn(o3):
    import torch

    angles = torch.tensor(np.random.default_rng(0).uniform(0, 3, size=(3, 5)))
    theirs = o3.angles_to_matrix(*angles).numpy()
    # e3nn's (x, y, z) are our (y, z, x).
    ours = theirs[:, [2, 0, 1]][:, :, [2, 0, 1]]
    found = run(lambda r: wigner_d(r, LMAX), ours)
    for l, matrix in enumerate(found):
        expected = frame_rows(l) @ o3.wigner_D(l, *angles).numpy()
        assert_near(matrix, expected, name=l)


def test_gradient_of_frames_and_matrices():
    """Against differences: what does not see the roll of the frame."""
    vectors = np.random.default_rng(1).normal(size=(4, 3))

    def middle_rows(x):
        rows = [w[:, 0] for w in wigner_d(edge_frames(x), 4)]
        return keras.ops.concatenate(rows, axis=-1)

    _, cotangent, (gradient,) = value_and_gradients(middle_rows, [vectors])
    direction = np.random.default_rng(2).normal(size=vectors.shape)

    def value(step):
        found = run(middle_rows, vectors + step * direction)
        return (found * cotangent).sum()

    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-7)


def test_shapes():
    for leading in ((5,), (0, 4), (2, 3)):
        vectors = np.ones((*leading, 3), "float32")
        assert_shapes(edge_frames, vectors)
        frames = np.ones((*leading, 3, 3), "float32")
        for lmax in (0, 1, 3):
            assert_shapes(lambda f: wigner_d(f, lmax), frames)
