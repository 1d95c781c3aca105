"""Frames and Wigner matrices against NumPy."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.irreps import edge_frames as numpy_frames
from keras_hamiltonian.irreps import wigner_d_matrix
from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.ops.wigner_d import edge_frames
from keras_hamiltonian.ops.wigner_d import wigner_d

TOLERANCES = {"float32": 2e-6, "float64": 1e-13}


def vectors_of(dtype):
    special = np.concatenate([np.eye(3), -np.eye(3), [[0.9, 0.3, 0.3]] * 2])
    random = np.random.default_rng(0).normal(size=(16, 3)) * 3
    vectors = np.concatenate([special, random]).astype(dtype)
    return vectors.reshape(4, 6, 3)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_frames(dtype):
    vectors = vectors_of(dtype)
    found = keras.ops.convert_to_numpy(
        edge_frames(keras.ops.convert_to_tensor(vectors))
    )
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, numpy_frames(vectors), atol=TOLERANCES[dtype]
    )


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_frames_of_an_edge_and_its_reverse(dtype):
    vectors = keras.ops.convert_to_tensor(vectors_of(dtype))
    forward = keras.ops.convert_to_numpy(edge_frames(vectors))
    backward = keras.ops.convert_to_numpy(edge_frames(-vectors))
    half_turn = np.array([1, -1, -1], dtype)[:, None]
    np.testing.assert_array_equal(backward, forward * half_turn)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_wigner_matrices(dtype):
    vectors = vectors_of(dtype)
    frames = numpy_frames(vectors)
    found = wigner_d(keras.ops.convert_to_tensor(frames.astype(dtype)), 6)
    assert len(found) == 7
    for l, matrix in enumerate(found):
        matrix = keras.ops.convert_to_numpy(matrix)
        assert matrix.dtype == dtype
        expected = frame_rows(l) @ wigner_d_matrix(l, frames)
        np.testing.assert_allclose(matrix, expected, atol=TOLERANCES[dtype] * l)
