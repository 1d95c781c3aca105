"""Operations as nodes of a Keras graph, saved and loaded."""

import keras
import numpy as np
import pytest

from keras_hamiltonian import ops
from keras_hamiltonian.irreps import ProductPaths
from keras_hamiltonian.ops.symbolic import broadcast_shapes

N, M = 4, 3
IRREPS = "2x0e + 2x1o"
CHANNELWISE = ProductPaths.channelwise(IRREPS, "0e + 1o", "0e + 1o")
FULL = ProductPaths.fully_connected(IRREPS, "0e + 1o", IRREPS)


def network():
    """Every operation once."""
    shapes = {
        "features": (N, 8),
        "vectors": (N, M, 3),
        "weights": (N, M, CHANNELWISE.num_weights),
        "full": (FULL.num_weights,),
        "paths": (5, 2),
    }
    inputs = {
        name: keras.Input(batch_shape=shape, name=name)
        for name, shape in shapes.items()
    }
    for name in ("neighbors", "reverse_edge"):
        inputs[name] = keras.Input(batch_shape=(N, M), dtype="int32", name=name)
    x, index = inputs["features"], (inputs["neighbors"], inputs["reverse_edge"])
    frames = ops.edge_frames(inputs["vectors"])
    harmonics = ops.spherical_harmonics(inputs["vectors"], 1)
    messages = ops.channelwise_convolution(
        x, harmonics, inputs["weights"], *index, CHANNELWISE
    )
    kernels = ops.so2_kernels(inputs["full"], FULL)
    convolved = ops.so2_convolution(
        x,
        ops.wigner_d(frames, 1),
        kernels,
        index[0],
        IRREPS,
        IRREPS,
        reverse_edge=index[1],
    )
    rotated = ops.rotate_irreps(convolved, IRREPS, frames[:, 0])
    product = ops.tensor_product(
        rotated, harmonics[:, 0], inputs["full"], FULL, kernel="reference"
    )
    squared = ops.symmetric_contraction(
        product, inputs["paths"], IRREPS, IRREPS, 2
    )
    return keras.Model(inputs, [messages, squared])


def test_saved_and_loaded(tmp_path):
    random = np.random.default_rng(0)
    model = network()
    inputs = {
        name: random.normal(size=symbol.shape).astype("float32")
        for name, symbol in model.input.items()
    }
    edges = np.arange(N * M, dtype="int32").reshape(N, M)
    inputs["neighbors"], inputs["reverse_edge"] = edges // M, edges
    expected = model.predict_on_batch(inputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    found = loaded.predict_on_batch(inputs)
    for a, b, symbol in zip(found, expected, model.output):
        assert np.abs(b).max() > 0.1
        assert a.shape == tuple(symbol.shape)
        np.testing.assert_array_equal(a, b)


def test_sizes_that_are_not_known():
    x = keras.Input((8,))
    rotations = keras.Input((3, 3))
    assert ops.rotate_irreps(x, IRREPS, rotations).shape == (None, 8)


@pytest.mark.parametrize(
    "shapes, expected",
    [
        ([(2, 1), (3,)], (2, 3)),
        ([(), (4,)], (4,)),
        ([(None, 3), (1, 3)], (None, 3)),
        ([(None,), (5,)], (5,)),
        ([(0,), (1,)], (0,)),
    ],
)
def test_broadcasting_of_shapes(shapes, expected):
    assert broadcast_shapes(*shapes) == expected


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"Received: \(2,\), \(3,\)"):
        broadcast_shapes((2,), (3,))
