import keras
import numpy as np
import pytest
from gradients import BACKEND
from gradients import assert_agrees
from gradients import assert_near
from gradients import assert_shapes
from gradients import run
from test_tensor_product import layout
from test_tensor_product import uvu

from keras_hamiltonian.irreps import ProductPaths
from keras_hamiltonian.ops import channelwise_convolution

CASES = [
    # Both parities, odd multiplicities, a term repeated.
    ("3x0e + 1x0o + 5x1o + 3x1e + 1x1o", "0e + 1o + 2e", None),
    ("1x8e + 2x5o + 3x4e", "0e + 3o + 8e", "0e + 1o + 8e + 5o"),
    ("3x0e", "0e", None),
]
if BACKEND == "jax":  # compiles each for seconds
    CASES = CASES[:1]


def arguments(cluster, paths, seed=0):
    random = np.random.default_rng(seed)
    mask = cluster["edge_mask"]
    features = random.normal(size=(len(mask), paths.irreps_in1.dim))
    harmonics = random.normal(size=(*mask.shape, paths.irreps_in2.dim))
    weights = random.normal(size=(*mask.shape, paths.num_weights))
    graph = cluster["neighbors"], cluster["reverse_edge"]
    return [features, harmonics, weights * mask[..., None]], graph


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("irreps", CASES)
def test_against_e3nn(o3, cluster, irreps, dtype):
    """With the sum over neighbours; padding edges have weight zero."""
    import torch

    paths = ProductPaths.channelwise(*irreps)
    arrays, graph = arguments(cluster, paths)
    theirs = uvu(o3, paths)
    back = np.argsort(layout(paths.irreps_in1))
    senders = torch.tensor(graph[0].ravel()).long()
    receivers = torch.arange(len(graph[0])).repeat_interleave(len(graph[0].T))

    def oracle(features, harmonics, weights):
        messages = theirs(
            features[:, back][senders],
            harmonics.flatten(0, 1),
            weights.flatten(0, 1),
        )
        sums = torch.zeros(len(features), messages.shape[1])
        sums = sums.index_add(0, receivers, messages)
        return sums[:, layout(paths.irreps_out)]

    assert_agrees(
        lambda *xs: channelwise_convolution(*xs, *graph, paths),
        oracle,
        arrays,
        dtype,
    )


def test_no_edges(cluster):
    paths = ProductPaths.channelwise("3x0e + 1x1o", "0e + 1o")
    arrays, graph = arguments(cluster, paths)
    arrays[1:] = [a[:, :0] for a in arrays[1:]]
    graph = [g[:, :0] for g in graph]
    found = run(
        lambda *xs: channelwise_convolution(*xs, paths), *arrays, *graph
    )
    assert_near(found, np.zeros((5, paths.irreps_out.dim)))


def test_no_paths(cluster):
    paths = ProductPaths.channelwise("3x0e", "1o", "2e")
    arrays, graph = arguments(cluster, paths)
    found = run(
        lambda *xs: channelwise_convolution(*xs, *graph, paths), *arrays
    )
    assert found.shape == (5, 0)


def test_shapes(cluster):
    paths = ProductPaths.channelwise(*CASES[0])
    arrays, graph = arguments(cluster, paths)
    for dtype in ("float32", "float64"):
        assert_shapes(
            lambda *xs: channelwise_convolution(*xs, paths),
            *(a.astype(dtype) for a in arrays),
            *graph,
        )


def test_errors(cluster):
    paths = ProductPaths.channelwise("3x0e + 1x1o", "0e + 1o")
    arrays, graph = arguments(cluster, paths)
    xs = [keras.ops.convert_to_tensor(a) for a in (*arrays, *graph)]
    with pytest.raises(ValueError, match="`harmonics` holds 4 numbers"):
        channelwise_convolution(xs[0], xs[2], xs[2], *xs[3:], paths)
    with pytest.raises(ValueError, match="`weights` holds 10 numbers"):
        channelwise_convolution(xs[0], xs[1], xs[1], *xs[3:], paths)
    with pytest.raises(ValueError, match="kernel cannot run|no fused kernel"):
        channelwise_convolution(*xs, paths, kernel="fused")
    with pytest.raises(ValueError, match="Received: kernel='fast'"):
        channelwise_convolution(*xs, paths, kernel="fast")
    for wrong in (
        ProductPaths.channelwise("3x0e", "2x0e"),
        ProductPaths.fully_connected("3x0e", "0e", "0e"),
    ):
        with pytest.raises(ValueError, match="channel-wise, with multipl"):
            channelwise_convolution(*xs, wrong)
