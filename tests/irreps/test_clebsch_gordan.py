import numpy as np
import pytest

from keras_hamiltonian.irreps import clebsch_gordan
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps import wigner_d_matrix

LMAX = 8


def triples(lmax):
    return [
        (l1, l2, l3)
        for l1 in range(lmax + 1)
        for l2 in range(lmax + 1)
        for l3 in range(abs(l1 - l2), min(l1 + l2, lmax) + 1)
    ]


@pytest.mark.slow
def test_against_e3nn(o3):
    import torch

    for l1, l2, l3 in triples(LMAX):
        theirs = o3.wigner_3j(l1, l2, l3, dtype=torch.float64).numpy()
        np.testing.assert_allclose(
            clebsch_gordan(l1, l2, l3),
            theirs,
            atol=1e-12,
            err_msg=f"{l1} {l2} {l3}",
        )


@pytest.mark.parametrize("l1, l2", [(0, 0), (1, 1), (2, 3), (4, 4), (5, 8)])
def test_all_degrees_together_are_orthogonal(l1, l2):
    columns = [
        np.sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3).reshape(-1, 2 * l3 + 1)
        for l3 in range(abs(l1 - l2), l1 + l2 + 1)
    ]
    matrix = np.concatenate(columns, axis=1)
    size = (2 * l1 + 1) * (2 * l2 + 1)
    assert matrix.shape == (size, size)
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(size), atol=1e-12)


def test_coupling_commutes_with_rotation():
    rotation = random_rotations(1, seed=1)[0]
    matrices = [wigner_d_matrix(l, rotation) for l in range(6)]
    for l1, l2, l3 in triples(5):
        coefficients = clebsch_gordan(l1, l2, l3)
        rotated = np.einsum(
            "ai,bj,ck,ijk->abc",
            matrices[l1],
            matrices[l2],
            matrices[l3],
            coefficients,
        )
        np.testing.assert_allclose(rotated, coefficients, atol=1e-12)


def test_three_vectors_couple_to_their_volume():
    epsilon = np.zeros((3, 3, 3))
    for a, b, c in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]:
        epsilon[a, b, c], epsilon[b, a, c] = 1, -1
    found = clebsch_gordan(1, 1, 1)
    np.testing.assert_allclose(np.abs(found), np.abs(epsilon) / np.sqrt(6))
    np.testing.assert_allclose(np.abs((found * epsilon).sum()), np.sqrt(6))


@pytest.mark.parametrize("degrees", [(1, 1, 3), (2, 0, 1), (3, 1, 1)])
def test_degrees_outside_the_triangle(degrees):
    with pytest.raises(ValueError, match=f"Received: l3={degrees[2]}"):
        clebsch_gordan(*degrees)


def test_result_is_shared_and_therefore_read_only():
    with pytest.raises(ValueError, match="read-only"):
        clebsch_gordan(1, 1, 2)[0, 0, 0] = 1
