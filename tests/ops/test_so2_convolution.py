"""The product in the frame of the edge equals the full one of e3nn."""

import keras
import numpy as np
import pytest
from gradients import BACKEND
from gradients import assert_agrees
from gradients import assert_near
from gradients import assert_shapes
from gradients import run
from gradients import tensors
from test_tensor_product import layout

from keras_hamiltonian.irreps import ProductPaths
from keras_hamiltonian.irreps import product_from_so2
from keras_hamiltonian.ops import edge_frames
from keras_hamiltonian.ops import so2_convolution
from keras_hamiltonian.ops import so2_kernels
from keras_hamiltonian.ops import wigner_d

TO_E3NN = [1, 2, 0]
CASES = [
    # Both parities, odd multiplicities, a term repeated.
    (
        "3x0e + 1x0o + 2x1o + 1x1e + 1x2o + 1x1o",
        "2x0e + 1x0o + 3x1o + 1x1e + 1x2e + 1x2o",
        4,
    ),
    ("1x8e + 2x4e + 1x3e", "1x8e + 2x5o + 1x4o", 8),  # degrees to 8
]
if BACKEND == "jax":  # compiles each for seconds
    CASES = CASES[:1]


def product_paths(irreps_in, irreps_out, lmax):
    harmonics = "+".join(f"1x{l}{'eo'[l % 2]}" for l in range(lmax + 1))
    return ProductPaths.fully_connected(irreps_in, harmonics, irreps_out)


def arguments(cluster, paths):
    random = np.random.default_rng(0)
    mask = cluster["edge_mask"]
    features = random.normal(size=(len(mask), paths.irreps_in1.dim))
    weights = random.normal(size=(*mask.shape, paths.irreps_out.num_irreps))
    product = random.normal(size=paths.num_weights)
    lmax = max(paths.irreps_in1.lmax, paths.irreps_out.lmax)
    wigner = run(
        lambda v: wigner_d(edge_frames(v), lmax), cluster["edge_vectors"]
    )
    return features, wigner, product, weights


@pytest.mark.parametrize(
    "dtype, is_symmetric",
    [("float32", True), ("float64", True), ("float64", False)],
)
@pytest.mark.parametrize("irreps_in, irreps_out, lmax", CASES)
def test_against_the_full_product_of_e3nn(
    o3, cluster, irreps_in, irreps_out, lmax, dtype, is_symmetric
):
    """Values, and gradients by features and by both kinds of weights."""
    import torch

    paths = product_paths(irreps_in, irreps_out, lmax)
    features, wigner, product, weights = arguments(cluster, paths)
    wigner = [w.astype(dtype) for w in wigner]
    neighbors = tensors(cluster["neighbors"])
    reverse_edge = tensors(cluster["reverse_edge"]) if is_symmetric else None
    mask = cluster["edge_mask"][..., None]

    def ours(features, product, weights):
        return so2_convolution(
            features,
            tensors(wigner),
            so2_kernels(product, paths),
            neighbors,
            irreps_in,
            irreps_out,
            weights * tensors(mask.astype(dtype)),
            reverse_edge,
        )

    theirs = o3.FullyConnectedTensorProduct(
        str(paths.irreps_in1),
        str(paths.irreps_in2),
        str(paths.irreps_out),
        shared_weights=True,
        internal_weights=False,
    )
    harmonics = o3.spherical_harmonics(
        list(range(lmax + 1)),
        torch.tensor(cluster["edge_vectors"][..., TO_E3NN]),
        True,
        "component",
    )
    back = np.argsort(layout(irreps_in))
    # Which weight of an edge each component of the output has.
    channels = np.split(
        np.arange(paths.irreps_out.num_irreps),
        np.cumsum([mul for mul, _ in paths.irreps_out])[:-1],
    )
    owner = np.concatenate(
        [
            np.tile(numbers, irrep.dim)
            for numbers, (_, irrep) in zip(channels, paths.irreps_out)
        ]
    )

    def oracle(features, product, weights):
        gathered = features[:, back][torch.tensor(cluster["neighbors"]).long()]
        messages = theirs(gathered, harmonics, product)
        messages = messages[..., layout(irreps_out)] * weights[..., owner]
        return (messages * torch.tensor(mask)).sum(1)

    assert_agrees(ours, oracle, [features, product, weights], dtype)


def test_without_weights_every_edge_counts_one(cluster):
    paths = product_paths("2x0e + 1x1o", "1x0e + 1x1o", 2)
    features, wigner, product, weights = arguments(cluster, paths)
    ones = np.ones_like(weights)

    def convolve(features, product, weights=None):
        kernels = so2_kernels(product, paths)
        irreps = paths.irreps_in1, paths.irreps_out
        neighbors = tensors(cluster["neighbors"])
        return so2_convolution(
            features, tensors(wigner), kernels, neighbors, *irreps, weights
        )

    assert_near(
        run(convolve, features, product),
        run(convolve, features, product, ones),
    )


def test_weights_of_a_product_from_kernels():
    irreps = CASES[0][:2]
    paths = product_paths(*irreps, 4)
    weights = np.random.default_rng(1).normal(size=paths.num_weights)
    kernels = run(lambda w: so2_kernels(w, paths), weights)
    found = product_from_so2(kernels, paths)
    np.testing.assert_allclose(found, weights, atol=1e-12)
    few = product_paths(*irreps, 2)
    with pytest.raises(ValueError, match="Take those of all degrees to 4"):
        product_from_so2(kernels, few)


def test_no_edges(cluster):
    features = np.ones((5, 6))
    wigner = [np.ones((5, 0, d, d)) for d in (1, 3)]
    kernel = np.ones((2, 3))

    def convolve(features, kernel, neighbors, reverse_edge=None):
        kernels = {"0+": kernel, "1": kernel}
        irreps = "2x1o", "3x1o"
        return so2_convolution(
            features,
            tensors(wigner),
            kernels,
            neighbors,
            *irreps,
            reverse_edge=reverse_edge,
        )

    index = np.zeros((5, 0), "int32")
    zeros = np.zeros((5, 9))
    xs = features, kernel, index
    assert_near(run(convolve, *xs), zeros)
    assert_near(run(convolve, *xs, index), zeros)


def test_shapes(cluster):
    paths = product_paths(*CASES[0])
    features, wigner, product, weights = arguments(cluster, paths)

    def convolve(features, product, weights, index, *wigner):
        return so2_convolution(
            features,
            list(wigner),
            so2_kernels(product, paths),
            index,
            paths.irreps_in1,
            paths.irreps_out,
            weights,
            index,
        )

    index = cluster["reverse_edge"]
    assert_shapes(convolve, features, product, weights, index, *wigner)
    assert_shapes(lambda w: list(so2_kernels(w, paths).values()), product)


def test_errors(cluster):
    x = keras.ops.ones((5, 6))
    wigner = [keras.ops.ones((5, 4, d, d)) for d in (1, 3)]
    kernels = {kind: keras.ops.ones((2, 3)) for kind in ("0+", "1")}
    index = tensors(cluster["neighbors"])
    with pytest.raises(ValueError, match="needed for l = 0..2"):
        so2_convolution(x, wigner, kernels, index, "2x1o", "3x2e")
    with pytest.raises(ValueError, match="Kernels from 2x1o to 4x1o"):
        so2_convolution(x, wigner, kernels, index, "2x1o", "4x1o")
    with pytest.raises(ValueError, match="one for each channel of 3x1o"):
        so2_convolution(x, wigner, kernels, index, "2x1o", "3x1o", x[:, None])
    for kernel, message in (("fused", "cannot run"), ("fast", "'fast'")):
        with pytest.raises(ValueError, match=message):
            so2_convolution(
                x, wigner, kernels, index, "2x1o", "3x1o", kernel=kernel
            )
    for irreps in ("2x0e", "1x1e", "0e + 1o + 0e"):
        paths = ProductPaths.fully_connected("2x1o", irreps, "3x1o + 1x1e")
        weights = keras.ops.ones((paths.num_weights,))
        with pytest.raises(ValueError, match="each degree once"):
            so2_kernels(weights, paths)
    paths = ProductPaths.channelwise("2x1o", "0e + 1o")
    with pytest.raises(ValueError, match="use `channelwise_convolution`"):
        so2_kernels(keras.ops.ones((paths.num_weights,)), paths)
