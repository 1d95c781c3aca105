import itertools

import numpy as np
import pytest

from keras_hamiltonian.irreps import wigner_d_matrix
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.edge import edge_kinds
from keras_hamiltonian.irreps.edge import edge_product
from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.irreps.edge import irrep_kinds

KINDS = edge_kinds(3)


def roll(kind, angle):
    """The representation of a roll about the edge."""
    if kind in ("0+", "0-"):
        return np.eye(1)
    c, s = np.cos(int(kind) * angle), np.sin(int(kind) * angle)
    return np.array([[c, -s], [s, c]])


def reflection(kind):
    """The representation of the reflection in the plane of angle zero."""
    return {"0+": np.eye(1), "0-": -np.eye(1)}.get(kind, np.diag([1.0, -1.0]))


def block_diagonal(matrices):
    size = sum(len(m) for m in matrices)
    result, start = np.zeros((size, size)), 0
    for m in matrices:
        stop = start + len(m)
        result[start:stop, start:stop] = m
        start = stop
    return result


@pytest.mark.parametrize(
    "kinds",
    [
        *itertools.product(KINDS, repeat=2),
        ("0-", "1", "2"),
        ("1", "2", "2"),
        ("1", "1", "1"),
        ("2",),
    ],
)
def test_product_reduces_under_roll_and_reflection(kinds):
    found, matrix = edge_product(*kinds)
    size = np.prod([edge_dim(k) for k in kinds])
    assert sum(edge_dim(k) for k in found) == size
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(size), atol=1e-14)
    for action in (lambda k: roll(k, 0.7), reflection):
        product = np.eye(1)
        for kind in kinds:
            product = np.kron(product, action(kind))
        np.testing.assert_allclose(
            matrix.T @ product @ matrix,
            block_diagonal([action(k) for k in found]),
            atol=1e-14,
        )


def test_products_of_pairs():
    assert edge_product("1", "1")[0] == ["0+", "0-", "2"]
    assert edge_product("1", "3")[0] == ["2", "4"]
    assert edge_product("0-", "0-")[0] == ["0+"]


@pytest.mark.parametrize("l", range(5))
@pytest.mark.parametrize("natural", [True, False])
def test_irreps_of_space_split_into_kinds(l, natural):
    parity = (-1) ** l * (1 if natural else -1)
    kinds = irrep_kinds((l, parity))
    assert len(kinds) == l + 1
    rows = frame_rows(l, natural)
    np.testing.assert_allclose(rows @ rows.T, np.eye(2 * l + 1), atol=1e-15)
    angle = 0.4
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    mirror = np.diag([1.0, -1.0, 1.0])
    for matrix, action in (
        (wigner_d_matrix(l, rotation), lambda k: roll(k, angle)),
        (parity * wigner_d_matrix(l, -mirror), reflection),
    ):
        np.testing.assert_allclose(
            rows @ matrix @ rows.T,
            block_diagonal([action(k) for k in kinds]),
            atol=1e-14,
        )


def test_kinds():
    assert edge_kinds(2) == ["0+", "0-", "1", "2"]
    assert [edge_dim(k) for k in edge_kinds(2)] == [1, 1, 2, 2]
