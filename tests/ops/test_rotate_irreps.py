import keras
import numpy as np
import pytest
from gradients import assert_near
from gradients import assert_shapes
from gradients import run
from gradients import value_and_gradients

from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.ops import rotate_irreps

# Both parities, odd multiplicities, degrees to 8.
IRREPS = Irreps("3x0e + 1x0o + 5x1o + 3x1e + 2x3e + 1x4o + 1x8e + 1x7e")


@pytest.fixture
def rotations():
    proper = random_rotations(4, seed=0)
    return proper * np.array([1, -1, 1, -1])[:, None, None]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_against_the_matrix_of_numpy(rotations, dtype):
    x = np.random.default_rng(1).normal(size=(4, IRREPS.dim)).astype(dtype)
    matrices = np.stack([IRREPS.d_matrix(r) for r in rotations])
    value, cotangent, (gradient, _) = value_and_gradients(
        lambda x, r: rotate_irreps(x, str(IRREPS), r),
        [x, rotations.astype(dtype)],
    )
    assert value.dtype == gradient.dtype == dtype
    assert_near(value, np.einsum("nij,nj->ni", matrices, x), dtype)
    expected = np.einsum("nij,ni->nj", matrices, cotangent)
    assert_near(gradient, expected, dtype)


def test_gradient_by_the_rotation(rotations):
    """Along a rotation about an axis, where the matrices stay rotations."""
    irreps = Irreps("1x1e + 2x2o")
    generator = np.array([[0, -1, 0.3], [1, 0, 0.2], [-0.3, -0.2, 0]])
    x = np.random.default_rng(2).normal(size=(4, irreps.dim))
    _, cotangent, (_, gradient) = value_and_gradients(
        lambda x, r: rotate_irreps(x, irreps, r), [x, rotations]
    )

    def rotated(angle):
        import scipy.linalg

        step = scipy.linalg.expm(angle * generator)
        total = 0
        for r, y, c in zip(rotations, x, cotangent):
            total += c @ irreps.d_matrix(step @ r) @ y
        return total

    slope = (rotated(1e-5) - rotated(-1e-5)) / 2e-5
    np.testing.assert_allclose(
        (gradient * (generator @ rotations)).sum(), slope, rtol=1e-8
    )


def test_broadcasting(rotations):
    irreps = Irreps("2x1o + 1x2o")
    x = np.random.default_rng(3).normal(size=(5, 4, irreps.dim))
    matrices = np.stack([irreps.d_matrix(r) for r in rotations])
    for r, d in ((rotations, matrices), (rotations[1], matrices[1])):
        found = run(lambda x, r: rotate_irreps(x, irreps, r), x, r)
        assert_near(found, (d @ x[..., None])[..., 0])


@pytest.mark.parametrize(
    "leading, rotated", [((), ()), ((4,), ()), ((0,), (0,)), ((3, 1), (2,))]
)
def test_shapes(leading, rotated):
    x = np.ones((*leading, IRREPS.dim), "float32")
    rotation = np.ones((*rotated, 3, 3), "float32")
    assert_shapes(lambda x, r: rotate_irreps(x, IRREPS, r), x, rotation)


def test_errors():
    x, eye = keras.ops.ones((2, 5)), keras.ops.eye(3)
    with pytest.raises(ValueError, match="1x1o have 3 components"):
        rotate_irreps(x, "1o", eye)
    with pytest.raises(ValueError, match=r"Received the shape \(2, 5\)"):
        rotate_irreps(x, "1x2e", x)
    symbol = keras.KerasTensor((4, 5))
    with pytest.raises(ValueError, match=r"Received: \(4,\), \(3,\)"):
        rotate_irreps(symbol, "1x2e", keras.KerasTensor((3, 3, 3)))
