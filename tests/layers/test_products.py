"""Layers of tensor products: symmetry, weights of e3nn, errors."""

import keras
import numpy as np
import pytest

from keras_hamiltonian import layers
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import linear_from_e3nn
from keras_hamiltonian.irreps import linear_to_e3nn
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps import to_ir_mul
from keras_hamiltonian.irreps import to_mul_ir
from keras_hamiltonian.testing import assert_equivariant

MIXED = "4x0e + 1x0o + 2x1e + 3x1o + 2x2e"
FLOAT64 = {"dtype": "float64"}


def tensors(arrays):
    return keras.tree.map_structure(keras.ops.convert_to_tensor, arrays)


def compiled(function):
    """JAX would compile every operation by itself: the whole there."""
    if keras.config.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def built(layer):
    layer.build()
    layer.built = True
    return layer


def test_tensor_product_rotates_with_its_inputs():
    irreps = Irreps(MIXED), Irreps("3x1o + 1x0e + 2x1e")
    layer = built(layers.TensorProduct(*irreps, MIXED, **FLOAT64))
    assert_equivariant(
        compiled(lambda x: layer(x[:, : irreps[0].dim], x[:, irreps[0].dim :])),
        irreps[0] + irreps[1],
        MIXED,
    )


@pytest.mark.parametrize("irreps", [MIXED, "4x0e", "2x1o + 1x0o"])
def test_gate(irreps):
    assert_equivariant(layers.Gate(irreps, **FLOAT64))


def test_gate_in_numbers():
    gate = layers.Gate("1x0e + 2x1o", **FLOAT64)
    x = np.array([[0.3, 1.0, -2.0, 1, 2, 3, 4, 5, 6]])
    found = keras.ops.convert_to_numpy(gate(tensors(x)))[0]

    def sigmoid(number):
        return 1 / (1 + np.exp(-number))

    gates = np.tile([sigmoid(1.0), sigmoid(-2.0)], 3)
    expected = [0.3 * sigmoid(0.3), *(gates * np.arange(1, 7))]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("correlation", [2, 3])
def test_self_tensor_product(correlation):
    irreps = "3x0e + 3x1o + 3x1e"
    layer = layers.SelfTensorProduct(
        irreps, "3x1o + 3x0o", correlation, num_species=2, **FLOAT64
    )
    species = keras.ops.convert_to_tensor([0, 1, 1, 0], dtype="int32")
    assert_equivariant(
        compiled(built(layer)), irreps, layer.irreps_out, arguments=[species]
    )


@pytest.mark.parametrize("kind", ["channelwise", "so2"])
def test_convolutions_rotate_with_the_crystal(cluster, kind):
    before, after = Irreps(MIXED), Irreps("3x0e + 1x0o + 2x1o + 2x1e")
    random = np.random.default_rng(1)
    features = random.normal(size=(5, before.dim))
    if kind == "so2":
        layer = layers.SO2Convolution(before, after, **FLOAT64)
        geometry = layers.EdgeGeometry(2, **FLOAT64)
        num_weights = after.num_irreps

        def directions(vectors):
            return geometry(vectors)["wigner"]
    else:
        directions = layers.SphericalHarmonics(2, **FLOAT64)
        layer = layers.ChannelwiseConvolution(
            before, directions.irreps_out, after, **FLOAT64
        )
        num_weights = layer.num_weights
    weights = random.normal(size=(*cluster["edge_mask"].shape, num_weights))
    weights = weights * cluster["edge_mask"][..., None]

    built(layer)
    graph = [tensors(cluster[n]) for n in ("neighbors", "reverse_edge")]
    convolve = compiled(lambda x, v, w: layer(x, directions(v), w, *graph))

    def run(rotation):
        rotated = features @ before.d_matrix(rotation).T
        vectors = cluster["edge_vectors"] @ rotation.T
        out = convolve(*tensors([rotated, vectors, weights]))
        return keras.ops.convert_to_numpy(out)

    plain = run(np.eye(3))
    assert (np.abs(plain).max(0) > 1e-3).all()
    rotation = random_rotations(1, seed=2)[0]
    for improper in (rotation, -rotation):
        np.testing.assert_allclose(
            run(improper), plain @ after.d_matrix(improper).T, atol=1e-12
        )


def test_linear_to_and_from_e3nn(o3):
    import torch

    # A term repeated and multiplicities that differ.
    before = "2x1o + 3x0e + 4x1o + 1x1e"
    after = "3x1o + 2x0e + 5x1e"
    theirs = o3.Linear(before, after, biases=True)
    theirs.bias.data = torch.randn(2)
    ours = built(layers.EquivariantLinear(before, after, **FLOAT64))
    weight, bias = (t.detach().numpy() for t in (theirs.weight, theirs.bias))
    converted = linear_from_e3nn(weight, before, after, bias)
    ours.kernel.assign(converted["kernel"])
    ours.bias.assign(converted["bias"])
    x = np.random.default_rng(0).normal(size=(4, Irreps(before).dim))
    expected = theirs(torch.tensor(x)).detach().numpy()
    found = keras.ops.convert_to_numpy(ours(tensors(to_ir_mul(x, before))))
    np.testing.assert_allclose(to_mul_ir(found, after), expected, atol=1e-12)
    kernel, own = (
        keras.ops.convert_to_numpy(w) for w in (ours.kernel, ours.bias)
    )
    back = linear_to_e3nn(kernel, before, after, own)
    np.testing.assert_allclose(back["weight"], weight, atol=1e-12)
    np.testing.assert_array_equal(back["bias"], bias)


def test_tensor_product_to_and_from_e3nn(o3):
    import torch

    irreps = "3x0e + 2x1o", "1x1o + 2x0e", "2x1o + 1x1e + 3x0e"
    theirs = o3.FullyConnectedTensorProduct(*irreps)
    ours = built(layers.TensorProduct(*irreps, **FLOAT64))
    random = np.random.default_rng(0)
    arrays = [random.normal(size=(4, Irreps(i).dim)) for i in irreps[:2]]
    rotated = [tensors(to_ir_mul(x, i)) for x, i in zip(arrays, irreps)]

    def both():
        found = keras.ops.convert_to_numpy(ours(*rotated))
        expected = theirs(*map(torch.tensor, arrays)).detach().numpy()
        np.testing.assert_allclose(
            to_mul_ir(found, irreps[2]), expected, atol=1e-12
        )

    ours.kernel.assign(theirs.weight.detach().numpy())
    both()
    ours.kernel.assign(random.normal(size=ours.kernel.shape))
    kernel = keras.ops.convert_to_numpy(ours.kernel)
    theirs.weight.data = torch.tensor(kernel)
    both()


def test_errors():
    with pytest.raises(ValueError, match="contains 2e"):
        layers.TensorProduct("2x0e", "1x1o", "1x1o + 1x2e")
    with pytest.raises(ValueError, match="2o is unreachable"):
        layers.ChannelwiseConvolution("2x0e", "0e + 1o", "1x1o + 1x2o")
    with pytest.raises(ValueError, match="reaches 1e"):
        layers.SelfTensorProduct("2x0e", "2x1e")
    with pytest.raises(ValueError, match="no component in common"):
        layers.SO2Convolution("2x0e", "1x0o")
    with pytest.raises(ValueError, match="8 numbers are expected. Received: 7"):
        linear_from_e3nn(np.ones(7), "4x0e", "2x0e")
    with pytest.raises(ValueError, match="is one term, and the input has it"):
        linear_from_e3nn(np.ones(8), "4x0e", "2x1e")
