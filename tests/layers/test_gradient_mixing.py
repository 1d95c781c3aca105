"""Features along the gradient of invariants, written out by hand."""

import keras
import numpy as np
import pytest
from layer_inputs import MIXED
from layer_inputs import atoms_of
from layer_inputs import edges_of

from keras_hamiltonian import layers
from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.testing import assert_edge_equivariant
from keras_hamiltonian.testing import assert_equivariant
from keras_hamiltonian.testing.symmetry import roll_edges

TOLERANCES = {"float32": 1e-5, "float64": 1e-10}


def mixing(kind, irreps=MIXED, dtype="float64", **options):
    """A layer whose weights are anything."""
    layer = getattr(layers, f"{kind}GradientMixing")(
        irreps, dtype=dtype, **options
    )
    layer.build()
    layer.built = True
    random = np.random.default_rng(3)
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape) * 0.5)
    return layer


def numpy(x):
    return keras.ops.convert_to_numpy(x).astype(np.float64)


def tensors(arrays, dtype="float64"):
    return keras.tree.map_structure(
        lambda x: keras.ops.convert_to_tensor(x, dtype=dtype), arrays
    )


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="torch differentiates"
)
@pytest.mark.parametrize("irreps", [MIXED, "4x0e", "3x1o + 2x0o"])
def test_the_gradient_is_that_of_autograd(irreps):
    import torch

    layer = mixing("Edge", irreps)
    channels = list(EdgeIrreps(irreps).values())
    normed = {
        kind: torch.tensor(x, requires_grad=True)
        for kind, x in edges_of(np.random.default_rng(0), irreps).items()
    }
    contractions = [
        x[:, :, 0] if kind == "0+" else 0.5 * (x * x).sum(axis=2)
        for kind, x in normed.items()
    ]
    inner = torch.cat(contractions, -1) @ layer.kernel.value + layer.bias.value
    total = (torch.nn.functional.silu(inner) @ layer.kernel_out.value).sum()
    expected = torch.autograd.grad(total, list(normed.values()))
    with torch.no_grad():
        slopes = torch.split(
            layer._slopes(inner, torch.sigmoid(inner)), channels, -1
        )
    for g, (kind, x), v in zip(slopes, normed.items(), expected):
        found = g[:, :, None] * (1 if kind == "0+" else x)
        torch.testing.assert_close(found, v, atol=1e-12, rtol=1e-12)


def test_a_step_has_the_size_asked_for():
    """Every channel is multiplied by a factor; their steps have this size."""
    layer = mixing("Atom", "5x1o + 3x2e", step=0.3)
    given = atoms_of(np.random.default_rng(0), "5x1o + 3x2e")
    factors = numpy(layer(tensors(given))[0]) / given - 1
    channels = np.concatenate(
        [factors[:, :5], factors[:, 15:18]], axis=1
    )  # one component of each
    np.testing.assert_allclose(factors[:, 5:10], factors[:, :5], atol=1e-12)
    sizes = np.sqrt((channels**2).mean(axis=1))
    np.testing.assert_allclose(sizes, 0.3, rtol=0.01)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_atoms_rotate_and_their_invariants_do_not(dtype):
    layer = mixing("Atom", dtype=dtype)
    size = layer.num_invariants
    assert_equivariant(
        lambda x: keras.ops.concatenate(layer(x), axis=-1),
        MIXED,
        Irreps(MIXED) + f"{size}x0e",
        dtype=dtype,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_edges_roll_and_their_invariants_do_not(dtype):
    layer = mixing("Edge", dtype=dtype)
    irreps = EdgeIrreps(MIXED)
    assert_edge_equivariant(lambda x: layer(x)[0], irreps, irreps, dtype)
    random = np.random.default_rng(0)
    edges = edges_of(random, MIXED)
    leading = edges["0+"].shape[:2]
    rolled = roll_edges(
        edges, random.uniform(0, 6, leading), random.choice([-1, 1], leading)
    )
    plain, found = (numpy(layer(tensors(x, dtype))[1]) for x in (edges, rolled))
    assert np.abs(found - plain).max() < TOLERANCES[dtype] * np.abs(plain).max()
    # A control: a turn of the components by another angle is noticed.
    wrong = {**rolled, "1": edges["1"][..., ::-1] * 2}
    found = numpy(layer(tensors(wrong, dtype))[1])
    assert np.abs(found - plain).max() > 1e-2 * np.abs(plain).max()


def test_a_gradient_of_what_is_not_invariant_would_be_noticed():
    """A control: one component of a pair taken for a scalar."""
    layer = mixing("Edge", "4x0+ + 4x1")

    def broken(edges):
        first = edges["1"][:, :, :1]
        mixed, _ = layer({"0+": edges["0+"] + first, "1": edges["1"]})
        return mixed

    with pytest.raises(AssertionError, match="kind"):
        assert_edge_equivariant(broken, "4x0+ + 4x1", "4x0+ + 4x1")


def test_what_vanishes_by_symmetry_stays_small():
    layer = mixing("Edge", dtype="float32")
    edges = edges_of(np.random.default_rng(0), MIXED)
    edges["0-"] = 1e-7 * edges["0-"]
    edges["2"] = 0 * edges["2"]
    mixed, _ = layer(tensors(edges, "float32"))
    assert np.abs(numpy(mixed["0-"])).max() < 2e-6
    assert not numpy(mixed["2"]).any()


def test_a_kind_that_comes_twice_is_named():
    with pytest.raises(ValueError, match="2x1o.*Give 1x0e.4x1o"):
        layers.AtomGradientMixing("2x1o + 1x0e + 2x1o")
