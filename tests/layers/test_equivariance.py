"""Rotation, inversion and roll of the edge frames, in float64."""

import keras
import numpy as np
import pytest

from keras_hamiltonian import layers
from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.testing import assert_edge_equivariant
from keras_hamiltonian.testing import assert_equivariant

MIXED = "4x0e + 1x0o + 2x1e + 3x1o + 2x2e"
FLOAT64 = {"dtype": "float64"}

LINEAR_CASES = [
    ("8x0e", "4x0e"),  # scalars: an ordinary dense layer
    ("8x0e + 4x1o + 3x2e", "5x1o"),  # inputs with nowhere to go
    ("2x1o + 1x0e + 2x1o", "3x1o + 1x0e"),  # unsorted, repeated
    (MIXED, MIXED),
]


def tensors(arrays):
    return keras.tree.map_structure(keras.ops.convert_to_tensor, arrays)


def randomize(layer):
    """Weights that start as zeros or ones take part, too."""
    random = np.random.default_rng(7)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    return layer


def built(layer, *shapes):
    layer.build(*shapes)
    layer.built = True
    return randomize(layer)


@pytest.mark.parametrize("irreps_in, irreps_out", LINEAR_CASES)
def test_linear(irreps_in, irreps_out):
    layer = layers.EquivariantLinear(irreps_in, irreps_out, **FLOAT64)
    assert_equivariant(built(layer))


def test_linear_with_weights_of_each_element():
    layer = layers.EquivariantLinear(MIXED, MIXED, 2, **FLOAT64)
    species = keras.ops.convert_to_tensor([0, 1, 1, 0], dtype="int32")
    assert_equivariant(built(layer), arguments=[species])
    # The two elements do differ.
    x = keras.ops.ones((4, Irreps(MIXED).dim), "float64")
    y = keras.ops.convert_to_numpy(layer(x, species))
    assert np.abs(y[0] - y[1]).max() > 0.1
    np.testing.assert_allclose(y[0], y[3])


def test_linear_agrees_with_e3nn(o3):
    import torch

    theirs = o3.Linear("4x1o", "3x1o")
    ours = built(layers.EquivariantLinear("4x1o", "3x1o", **FLOAT64))
    kernel = theirs.weight.detach().numpy() / 2  # e3nn's path weight
    ours.kernel.assign(kernel.reshape(ours.kernel.shape))
    x = np.random.default_rng(0).normal(size=(5, 4, 3))
    expected = theirs(torch.tensor(x.reshape(5, 12))).detach().numpy()
    # Their channels are outer, ours inner.
    found = ours(tensors(x.swapaxes(1, 2).reshape(5, 12)))
    found = keras.ops.convert_to_numpy(found).reshape(5, 3, 3).swapaxes(1, 2)
    np.testing.assert_allclose(found.reshape(5, 9), expected, atol=1e-12)


def test_norm():
    layer = built(layers.EquivariantNorm(MIXED, **FLOAT64))
    assert_equivariant(layer)


def test_feed_forward():
    assert_equivariant(built(layers.FeedForward(MIXED, **FLOAT64)))


def test_atom_update():
    layer = layers.AtomUpdate("4x0e + 2x1o", MIXED, MIXED, 2, **FLOAT64)
    built(layer)
    species = keras.ops.convert_to_tensor([0, 1, 1, 0], dtype="int32")
    sizes = Irreps("4x0e + 2x1o").dim, Irreps(MIXED).dim

    def update(x):
        return layer(x[:, : sizes[0]], x[:, sizes[0] :], species)

    assert_equivariant(update, Irreps("4x0e + 2x1o") + Irreps(MIXED), MIXED)


def test_bias_on_anything_but_0e_would_be_noticed():
    """A control: the checks can fail."""
    with pytest.raises(AssertionError, match="Not equivariant.*1x1o"):
        assert_equivariant(lambda x: x + 0.1, "2x0e+1x1o", "2x0e+1x1o")
    with pytest.raises(AssertionError, match="kind 1"):
        assert_edge_equivariant(
            lambda b: {"1": keras.ops.tanh(b["1"])}, "2x1", "2x1"
        )
    with pytest.raises(AssertionError, match="kind 0-"):
        assert_edge_equivariant(
            lambda b: {"0-": keras.ops.abs(b["0-"])}, "2x0-", "2x0-"
        )
    with pytest.raises(AssertionError, match="Expected 3x1. Received: 2x1"):
        assert_edge_equivariant(lambda b: b, "2x1", "3x1")


def test_unreachable_irrep_is_named():
    with pytest.raises(ValueError, match="2e is unreachable"):
        layers.EquivariantLinear("8x0e", "1x2e")


def test_unknown_activation():
    with pytest.raises(ValueError, match="activation='relu'"):
        layers.NormedDense(3, "relu")


def test_maps_of_edge_features():
    irreps = EdgeIrreps(MIXED)
    linear = layers.SO2Linear([MIXED], irreps + "4x3", **FLOAT64)
    built(linear)
    assert linear.irreps_out == irreps  # nothing reaches kind 3
    assert_edge_equivariant(lambda b: linear([b]), irreps, irreps)
    norm = layers.EdgeNorm(**FLOAT64)
    assert_edge_equivariant(norm, irreps, irreps)
    update = layers.EdgeUpdate("4x0+", MIXED, **FLOAT64)
    built(update)
    assert_edge_equivariant(
        lambda b: update({"0+": b["0+"][..., :4]}, b), irreps, irreps
    )


def test_convolution():
    layer = layers.EquivariantConvolution([MIXED], MIXED, 3, **FLOAT64)
    built(layer)
    radial = np.random.default_rng(0).normal(size=(2, 3, 3))
    assert_edge_equivariant(lambda b: layer([b], tensors(radial)), MIXED, MIXED)


@pytest.fixture
def network():
    """Two groups with parities that the first one cannot make."""
    reaches, size = [1.6, 1.9], 6
    own = {
        "geometry": layers.EdgeGeometry(2, **FLOAT64),
        "envelope": layers.EdgeEnvelope(reaches, **FLOAT64),
        "radial": layers.RadialFeatures(8, 3.8, 2, (size,), **FLOAT64),
        "embedding": layers.EdgeEmbedding(size, 4, **FLOAT64),
        "ends": layers.EdgeEnds("4x0e + 2x1o", **FLOAT64),
        "groups": [
            layers.InteractionGroup(*irreps, 2, size, **FLOAT64)
            for irreps in (("4x0e+2x1o", "4x0+", MIXED), (MIXED,) * 3)
        ],
    }

    def call(atoms, vectors, graph):
        geometry = own["geometry"](vectors)
        lengths, wigner = geometry["lengths"], geometry["wigner"]
        species, neighbors = graph["species"], graph["neighbors"]
        envelope = own["envelope"](
            lengths, species, neighbors, graph["edge_mask"], wigner
        )
        radial = own["radial"](lengths, species, neighbors)
        shared = {
            "wigner": wigner,
            "weighted_wigner": envelope["weighted_wigner"],
            "radial": radial,
            "species": species,
            "reverse_edge": graph["reverse_edge"],
        }
        ends = own["ends"](atoms, wigner, graph["reverse_edge"])
        state = {
            "atoms": atoms,
            "edges": own["embedding"](radial),
            "neighbor": ends["neighbor"],
        }
        for group in own["groups"]:
            state = group(state, shared)
        return {"atoms": state["atoms"], "edges": state["edges"]}

    return call


def test_groups_of_updates(network, cluster):
    """Atoms rotate with the crystal; edges at most roll about themselves."""
    graph = tensors(cluster)
    before, after = Irreps("4x0e + 2x1o"), Irreps(MIXED)
    features = np.random.default_rng(1).normal(size=(5, before.dim))
    vectors = cluster["edge_vectors"]

    def run(rotation):
        outputs = network(
            tensors(features @ before.d_matrix(rotation).T),
            tensors(vectors @ rotation.T),
            graph,
        )
        return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)

    plain = run(np.eye(3))
    size = np.abs(plain["atoms"]).max()
    assert np.abs(plain["atoms"][:, 4]).max() > 1e-6 * size  # 0o is there
    rotation = random_rotations(1, seed=3)[0]
    real = cluster["edge_mask"] > 0
    for improper in (rotation, -rotation):
        found = run(improper)
        np.testing.assert_allclose(
            found["atoms"],
            plain["atoms"] @ after.d_matrix(improper).T,
            atol=1e-10 * size,
        )
        for kind, x in plain["edges"].items():
            if "0" in kind:
                np.testing.assert_allclose(
                    np.abs(found["edges"][kind][real]),
                    np.abs(x[real]),
                    atol=1e-10 * size,
                )
            # Channels of a pair keep all their scalar products.
            products = [
                np.einsum("edc,edk->eck", b[real], b[real])
                for b in (found["edges"][kind], x)
            ]
            np.testing.assert_allclose(*products, atol=1e-9 * size**2)
