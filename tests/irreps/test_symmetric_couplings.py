import itertools

import numpy as np
import pytest

from keras_hamiltonian.irreps import Irrep
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps import symmetric_couplings

# Both parities, a term repeated.
IRREPS = Irreps("0e + 1o + 1e + 0e + 2e")
OUT = [Irrep.parse(name) for name in ("0e", "0o", "1o", "1e", "2e", "3o")]


def full_tensor(irrep, order, irreps=IRREPS):
    return symmetric_couplings(irreps, irrep, order).tensor(irreps.dim)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_orthonormal_and_symmetric(order):
    for irrep in OUT:
        tensor = full_tensor(irrep, order)
        rows = tensor.reshape(-1, IRREPS.dim**order)
        np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-12)
        for axes in itertools.permutations(range(order)):
            moved = tensor.transpose(0, 1, *(2 + a for a in axes))
            np.testing.assert_array_equal(moved, tensor)


@pytest.mark.parametrize("order", [2, 3])
def test_equivariant(order):
    rotation = -random_rotations(1, seed=0)[0]
    matrix = IRREPS.d_matrix(rotation)
    for irrep in OUT:
        tensor = full_tensor(irrep, order)
        rotated = tensor
        for axis in range(2, 2 + order):
            rotated = np.tensordot(rotated, matrix, (axis, 0))
            rotated = np.moveaxis(rotated, -1, axis)
        own = Irreps([(1, irrep)]).d_matrix(rotation)
        expected = np.einsum("km,pm...->pk...", own, tensor)
        np.testing.assert_allclose(rotated, expected, atol=1e-12)


@pytest.mark.parametrize(
    "irreps, order", [("0e + 1o + 1e + 0e", 2), ("0e + 1o + 1e", 3)]
)
def test_spans_what_e3nn_finds(o3, irreps, order):
    formula = {2: "ij=ji", 3: "ijk=jik=kji"}[order]
    theirs = o3.ReducedTensorProducts(formula, i=irreps)
    start = 0
    rows = {}
    for mul, irrep in theirs.irreps_out:
        stop = start + mul * irrep.dim
        block = theirs.change_of_basis[start:stop]
        rows.setdefault(str(irrep), []).append(block.flatten(1).numpy())
        start = stop
    for name, blocks in rows.items():
        expected = np.concatenate(blocks)
        irrep = Irrep.parse(name)
        found = full_tensor(irrep, order, Irreps(irreps))
        found = found.reshape(-1, expected.shape[1])
        assert len(found) == len(expected), name
        np.testing.assert_allclose(
            found.T @ found, expected.T @ expected, atol=1e-12
        )


def test_monomials_are_sorted_and_needed():
    found = symmetric_couplings(IRREPS, Irrep(1, -1), 3)
    monomials = found.monomials.tolist()
    assert monomials == sorted(map(sorted, monomials))
    assert (np.abs(found.coefficients).max((0, 1)) > 1e-3).all()


def test_errors():
    with pytest.raises(ValueError, match="Received: irreps=2x1o"):
        symmetric_couplings(Irreps("2x1o"), Irrep(0, 1), 2)
    with pytest.raises(ValueError, match="order=0"):
        symmetric_couplings(Irreps("1o"), Irrep(0, 1), 0)
