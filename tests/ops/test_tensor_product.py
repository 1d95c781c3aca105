import keras
import numpy as np
import pytest
from gradients import BACKEND
from gradients import assert_agrees
from gradients import assert_near
from gradients import assert_shapes
from gradients import run

from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import ProductPaths
from keras_hamiltonian.irreps import to_ir_mul
from keras_hamiltonian.ops import tensor_product

CASES = [
    # Both parities, odd multiplicities, terms repeated and unsorted.
    (
        "3x1o + 2x0e + 1x1e + 1x0o + 1x1o",
        "1x1o + 3x0e + 1x2e + 1x1e",
        "5x1o + 1x0e + 3x1e + 1x0o + 2x2o + 1x1o",
    ),
    ("2x8e + 1x4o", "1x8e + 1x3e", "1x0e + 1x8e + 2x5e + 1x7o"),  # degrees to 8
    ("3x0e", "1x0e", "2x0e"),  # scalars: an ordinary bilinear map
]
SHARED = [("float32", True), ("float64", True), ("float64", False)]
if BACKEND == "jax":  # compiles each for seconds
    CASES, SHARED = CASES[::2], SHARED[::2]


def layout(irreps):
    """Order of components that rotates e3nn's into ours, as an index."""
    return to_ir_mul(np.arange(Irreps(irreps).dim), irreps)


def compare(paths, theirs, dtype, num_samples=3, is_shared=True):
    """Value and gradients of our product and of a module of e3nn."""
    back = [np.argsort(layout(i)) for i in (paths.irreps_in1, paths.irreps_in2)]
    random = np.random.default_rng(0)
    leading = () if is_shared else (num_samples,)
    arrays = [
        random.normal(size=(num_samples, paths.irreps_in1.dim)),
        random.normal(size=(num_samples, paths.irreps_in2.dim)),
        random.normal(size=(*leading, paths.num_weights)),
    ]

    def oracle(x1, x2, weights):
        out = theirs(x1[:, back[0]], x2[:, back[1]], weights)
        return out[:, layout(paths.irreps_out)]

    assert_agrees(lambda *xs: tensor_product(*xs, paths), oracle, arrays, dtype)


@pytest.mark.parametrize("dtype, is_shared", SHARED)
@pytest.mark.parametrize("irreps", CASES)
def test_fully_connected_against_e3nn(o3, irreps, dtype, is_shared):
    paths = ProductPaths.fully_connected(*irreps)
    theirs = o3.FullyConnectedTensorProduct(
        *irreps, shared_weights=is_shared, internal_weights=False
    )
    assert paths.num_weights == theirs.weight_numel
    compare(paths, theirs, dtype, is_shared=is_shared)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("irreps", CASES)
def test_channelwise_against_e3nn(o3, irreps, dtype):
    paths = ProductPaths.channelwise(*irreps)
    theirs = uvu(o3, paths)
    assert paths.num_weights == theirs.weight_numel
    compare(paths, theirs, dtype, is_shared=False)


def uvu(o3, paths):
    """The channel-wise product of e3nn."""
    instructions = [
        (p.term1, p.term2, p.term_out, "uvu", True) for p in paths.paths
    ]
    return o3.TensorProduct(
        str(paths.irreps_in1),
        str(paths.irreps_in2),
        str(paths.irreps_out),
        instructions,
        shared_weights=False,
        internal_weights=False,
    )


def test_channelwise_with_shared_weights():
    paths = ProductPaths.channelwise("3x1o", "2x1o", "0e + 1e")
    random = np.random.default_rng(1)
    x1, x2 = random.normal(size=(4, 9)), random.normal(size=(4, 6))
    weights = random.normal(size=paths.num_weights)
    found = run(lambda *xs: tensor_product(*xs, paths), x1, x2, weights)
    each = run(
        lambda *xs: tensor_product(*xs, paths),
        x1,
        x2,
        np.tile(weights, (4, 1)),
    )
    assert_near(found, each)


def test_leading_axes_broadcast():
    paths = ProductPaths.fully_connected("2x1o", "1x1o + 1x0e", "3x1o + 1x0e")
    random = np.random.default_rng(2)
    x1, x2 = random.normal(size=(2, 5, 6)), random.normal(size=(5, 4))
    weights = random.normal(size=paths.num_weights)
    found = run(lambda *xs: tensor_product(*xs, paths), x1, x2, weights)
    whole = np.ascontiguousarray(np.broadcast_to(x2, (2, 5, 4)))
    expected = run(lambda *xs: tensor_product(*xs, paths), x1, whole, weights)
    assert found.shape == (2, 5, 10)
    assert_near(found, expected)


def test_irreps_that_no_path_reaches_are_zero():
    paths = ProductPaths.fully_connected("2x0e", "1x1o", "1x2e + 2x1o")
    ones = [np.ones((3, 2)), np.ones((3, 3)), np.ones(paths.num_weights)]
    found = run(lambda *xs: tensor_product(*xs, paths), *ones)
    np.testing.assert_array_equal(found[:, :5], 0)
    assert (found[:, 5:] != 0).all()
    none = ProductPaths.fully_connected("2x0e", "1x1o", "1x2e")
    ones[2] = np.ones(0)
    assert_near(
        run(lambda *xs: tensor_product(*xs, none), *ones), np.zeros((3, 5))
    )
    empty = ProductPaths.channelwise("2x0e", "1x1o", "1x2e")
    assert run(lambda *xs: tensor_product(*xs, empty), *ones).shape == (3, 0)


def test_half_precision():
    paths = ProductPaths.fully_connected("2x1o", "1x1o", "3x0e + 1x1e")
    random = np.random.default_rng(3)
    arrays = [random.normal(size=(4, 6)), random.normal(size=(4, 3))]
    arrays.append(random.normal(size=paths.num_weights))

    def half(*xs):
        xs = [keras.ops.cast(x, "bfloat16") for x in xs]
        out = tensor_product(*xs, paths)
        assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
        return keras.ops.cast(out, "float64")

    exact = run(lambda *xs: tensor_product(*xs, paths), *arrays)
    np.testing.assert_allclose(
        run(half, *arrays), exact, atol=0.05 * np.abs(exact).max()
    )


@pytest.mark.parametrize(
    "first, second, weights",
    [
        ((4,), (4,), ()),
        ((4,), (4,), (4,)),
        ((0,), (0,), ()),
        ((2, 4), (4,), ()),
    ],
)
def test_shapes(first, second, weights):
    paths = ProductPaths.fully_connected(*CASES[0])
    assert_shapes(
        lambda *xs: tensor_product(*xs, paths),
        np.ones((*first, paths.irreps_in1.dim), "float32"),
        np.ones((*second, paths.irreps_in2.dim), "float32"),
        np.ones((*weights, paths.num_weights), "float32"),
    )


def test_errors():
    paths = ProductPaths.fully_connected("2x1o", "1x1o", "1x0e")
    x1, x2, weights = (keras.ops.ones(s) for s in ((4, 6), (4, 3), (2,)))
    with pytest.raises(ValueError, match="`x1` holds 6 numbers, 2x1o"):
        tensor_product(x2, x2, weights, paths)
    with pytest.raises(ValueError, match="`x2` holds 3 numbers, 1x1o"):
        tensor_product(x1, x1, weights, paths)
    with pytest.raises(ValueError, match="`weights` holds 2 numbers"):
        tensor_product(x1, x2, x2, paths)
    with pytest.raises(ValueError, match="no fused kernel"):
        tensor_product(x1, x2, weights, paths, kernel="fused")
    with pytest.raises(ValueError, match="Received: kernel='fast'"):
        tensor_product(x1, x2, weights, paths, kernel="fast")
