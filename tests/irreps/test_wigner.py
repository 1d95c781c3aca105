import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.linalg
import scipy.special
from scipy.spatial.transform import Rotation

from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps import spherical_harmonics
from keras_hamiltonian.irreps import wigner_d_matrix
from keras_hamiltonian.irreps.wigner import shell_rotations

LMAX = 8
# e3nn calls y what is z here: its (x, y, z) are our (y, z, x).
TO_E3NN = [1, 2, 0]

rotations = st.tuples(*[st.floats(-np.pi, np.pi)] * 3).map(
    lambda angles: Rotation.from_euler("zyx", angles).as_matrix()
)
few = hypothesis.settings(max_examples=25, deadline=None, derandomize=True)


@few
@hypothesis.given(rotations, rotations, st.integers(0, LMAX))
def test_homomorphism(first, second, l):
    product = wigner_d_matrix(l, first) @ wigner_d_matrix(l, second)
    np.testing.assert_allclose(
        wigner_d_matrix(l, first @ second), product, atol=1e-12
    )


@few
@hypothesis.given(rotations, st.integers(0, LMAX))
def test_orthogonal_with_determinant_one(rotation, l):
    matrix = wigner_d_matrix(l, rotation)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(2 * l + 1), atol=1e-12)
    assert abs(np.linalg.det(matrix) - 1) < 1e-11


def test_identity_and_batches():
    rotates = random_rotations(6, seed=0).reshape(2, 3, 3, 3)
    for l in range(LMAX + 1):
        np.testing.assert_allclose(
            wigner_d_matrix(l, np.eye(3)), np.eye(2 * l + 1), atol=1e-13
        )
        whole = wigner_d_matrix(l, rotates)
        assert whole.shape == (2, 3, 2 * l + 1, 2 * l + 1)
        np.testing.assert_allclose(
            whole[1, 2], wigner_d_matrix(l, rotates[1, 2]), atol=1e-14
        )


def test_against_e3nn(o3):
    import torch

    # From angles: e3nn's way from a matrix to angles costs half the digits.
    alpha, beta, gamma = torch.tensor(
        np.random.default_rng(0).uniform(0.1, 3.0, size=(3, 5))
    )
    theirs = o3.angles_to_matrix(alpha, beta, gamma).numpy()
    # Rows and columns from (y, z, x) to (x, y, z).
    back = np.argsort(TO_E3NN)
    ours = theirs[:, back][:, :, back]
    for l in range(LMAX + 1):
        np.testing.assert_allclose(
            wigner_d_matrix(l, ours),
            o3.wigner_D(l, alpha, beta, gamma).numpy(),
            atol=1e-12,
            err_msg=f"l = {l}",
        )


@pytest.mark.parametrize("shape", [(3,), (2, 2), (4, 3)])
def test_a_matrix_of_another_shape(shape):
    with pytest.raises(ValueError, match="3, 3"):
        wigner_d_matrix(1, np.ones(shape))


@pytest.fixture
def vectors():
    return np.random.default_rng(1).normal(size=(50, 3)) * 2


def test_orbitals_of_an_atom_rotate_shell_by_shell():
    rotations = random_rotations(3, seed=1)
    matrices = shell_rotations((0, 2, 1), rotations)
    assert matrices.shape == (3, 9, 9)
    for matrix, rotation in zip(matrices, rotations):
        expected = [wigner_d_matrix(l, rotation) for l in (0, 2, 1)]
        assert np.array_equal(matrix, scipy.linalg.block_diag(*expected))


def test_harmonics_rotate_as_the_wigner_matrix(vectors):
    rotation = random_rotations(1, seed=2)[0]
    for l in range(LMAX + 1):
        np.testing.assert_allclose(
            spherical_harmonics(l, vectors @ rotation.T),
            spherical_harmonics(l, vectors) @ wigner_d_matrix(l, rotation).T,
            atol=1e-12,
        )


def test_harmonics_have_unit_length_and_point_along_the_pole(vectors):
    for l in range(LMAX + 1):
        values = spherical_harmonics(l, vectors)
        np.testing.assert_allclose((values**2).sum(-1), 1, atol=1e-12)
        pole = spherical_harmonics(l, [0, 0, 3.0])
        np.testing.assert_allclose(pole, np.eye(2 * l + 1)[l], atol=1e-13)


def test_harmonics_against_e3nn(o3, vectors):
    import torch

    for l in range(LMAX + 1):
        theirs = o3.spherical_harmonics(
            l, torch.tensor(vectors[:, TO_E3NN]), True, normalization="norm"
        ).numpy()
        theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
        np.testing.assert_allclose(
            spherical_harmonics(l, vectors), theirs, atol=1e-12
        )


def test_harmonics_against_scipy(vectors):
    x, y, z = vectors.T
    polar = np.arccos(z / np.linalg.norm(vectors, axis=1))
    azimuth = np.arctan2(y, x)
    for l in range(LMAX + 1):
        norm = np.sqrt((2 * l + 1) / (4 * np.pi))
        ours = norm * spherical_harmonics(l, vectors)
        for m in range(l + 1):
            theirs = scipy.special.sph_harm_y(l, m, polar, azimuth)
            # SciPy has the Condon-Shortley phase, we have not.
            theirs = theirs * (-1) ** m * (np.sqrt(2) if m else 1)
            np.testing.assert_allclose(ours[:, l + m], theirs.real, atol=1e-12)
            if m:
                np.testing.assert_allclose(
                    ours[:, l - m], theirs.imag, atol=1e-12
                )


def test_the_formulas_of_p_and_d(vectors):
    x, y, z = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
    np.testing.assert_allclose(
        spherical_harmonics(1, vectors), np.stack([y, z, x], 1), atol=1e-14
    )
    root = np.sqrt(3)
    d = [
        root * x * y,
        root * y * z,
        1.5 * z * z - 0.5,
        root * x * z,
        root / 2 * (x * x - y * y),
    ]
    np.testing.assert_allclose(
        spherical_harmonics(2, vectors), np.stack(d, 1), atol=1e-13
    )


def test_a_vector_of_length_zero_has_no_harmonics():
    with pytest.raises(ValueError, match="length zero"):
        spherical_harmonics(1, np.zeros((2, 3)))
