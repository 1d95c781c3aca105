import keras
import numpy as np
import pytest
from gradients import BACKEND
from gradients import assert_agrees
from gradients import assert_near
from gradients import assert_shapes
from gradients import run
from gradients import tensors

from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps import symmetric_couplings
from keras_hamiltonian.irreps.symmetric_couplings import count_symmetric_paths
from keras_hamiltonian.ops import symmetric_contraction

# Both parities, an odd multiplicity, outputs unsorted.
IN = Irreps("3x0e + 3x1o + 3x1e + 3x2e")
OUT = Irreps("3x1o + 3x0o + 3x0e + 3x2e")
SPECIES = np.array([0, 1, 1, 0, 1], "int32")
ORDERS = [3] if BACKEND == "jax" else [2, 3]


def num_paths(irreps_in, irreps_out, correlation):
    counts = count_symmetric_paths(irreps_in, irreps_out, correlation)
    return sum(map(sum, counts.values()))


def direct(x, weights, correlation):
    """Term by term with the full tensors, weights of each atom given."""
    import torch

    single = Irreps([(1, irrep) for _, irrep in IN])
    x = x.reshape(len(x), single.dim, -1)
    results, start = [], 0
    for _, irrep in OUT:
        total = 0
        for order in range(1, correlation + 1):
            couplings = symmetric_couplings(single, irrep, order)
            tensor = torch.tensor(couplings.tensor(single.dim))
            own = weights[:, start : start + couplings.num_paths]
            start += couplings.num_paths
            factors = ",".join(f"n{i}c" for i in "ijk"[:order])
            total = total + torch.einsum(
                f"pm{'ijk'[:order]},{factors},npc->nmc",
                tensor,
                *[x] * order,
                own,
            )
        results.append(total.flatten(1))
    return torch.cat(results, dim=1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("correlation", ORDERS)
def test_against_full_tensors(correlation, dtype):
    random = np.random.default_rng(0)
    x = random.normal(size=(5, IN.dim))
    weights = random.normal(size=(2, num_paths(IN, OUT, correlation), 3))
    species = tensors(SPECIES)
    assert_agrees(
        lambda x, w: symmetric_contraction(x, w, IN, OUT, correlation, species),
        lambda x, w: direct(x, w[SPECIES], correlation),
        [x, weights],
        dtype,
    )


def test_first_order_is_linear_in_each_channel():
    weights = np.array([[1.0, 2, 3], [4, 5, 6]])
    x = np.random.default_rng(1).normal(size=(5, IN.dim))
    found = run(
        lambda x, w: symmetric_contraction(x, w, IN, "3x1e + 3x0e", 1),
        x,
        weights,
    )
    parts = [x[:, 12:21].reshape(5, 3, 3) * weights[0], x[:, :3] * weights[1]]
    assert_near(
        found, np.concatenate([p.reshape(5, -1) for p in parts], axis=1)
    )


def test_equivariant():
    random = np.random.default_rng(2)
    x = random.normal(size=(5, IN.dim))
    weights = random.normal(size=(num_paths(IN, OUT, 3), 3))
    rotation = -random_rotations(1, seed=0)[0]

    def contract(x):
        w = tensors(weights)
        return symmetric_contraction(x, w, IN, OUT, 3)

    rotated = run(contract, x @ IN.d_matrix(rotation).T)
    assert_near(rotated, run(contract, x) @ OUT.d_matrix(rotation).T)


def test_shapes():
    weights = np.ones((2, num_paths(IN, OUT, 2), 3), "float32")
    for number in (5, 0):
        assert_shapes(
            lambda x, w, s: symmetric_contraction(x, w, IN, OUT, 2, s),
            np.ones((number, IN.dim), "float32"),
            weights,
            np.zeros(number, "int32"),
        )
    assert_shapes(
        lambda x, w: symmetric_contraction(x, w, IN, OUT, 2),
        np.ones((5, IN.dim), "float32"),
        weights[0],
    )


def test_errors():
    x = keras.ops.ones((5, 16))
    weights = keras.ops.ones((3, 4))
    with pytest.raises(ValueError, match=r"\(1, 4\), paths and channels"):
        symmetric_contraction(x, weights, "4x0e + 4x1o", "4x0e", 1)
    with pytest.raises(ValueError, match="have the same multiplicity"):
        symmetric_contraction(x, weights, "4x0e + 4x1o", "2x0e", 2)
    with pytest.raises(ValueError, match="reaches 2o"):
        symmetric_contraction(x, weights, "4x0e + 4x1o", "4x2o", 2)
    with pytest.raises(ValueError, match="`correlation` is at least 1"):
        symmetric_contraction(x, weights, "4x0e + 4x1o", "4x0e", 0)
