"""The edge-frame product against direct computation and against e3nn."""

import keras
import numpy as np
import pytest

from keras_hamiltonian.irreps import EdgeIrreps
from keras_hamiltonian.irreps import Irreps
from keras_hamiltonian.irreps import edge_frames
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.irreps import wigner_d_matrix
from keras_hamiltonian.irreps.edge import edge_dim
from keras_hamiltonian.irreps.edge import frame_rows
from keras_hamiltonian.irreps.edge import irrep_kinds
from keras_hamiltonian.ops.edges import reverse_edges
from keras_hamiltonian.ops.edges import rotate_into_edges
from keras_hamiltonian.ops.edges import sum_over_edges
from keras_hamiltonian.ops.so2_linear import so2_linear
from keras_hamiltonian.ops.wigner_d import wigner_d

# Both parities, several channels, a degree that is missing.
IRREPS = "3x0e + 2x0o + 2x1o + 1x1e + 2x2e + 1x2o + 2x4e"


def tensors(arrays):
    return keras.tree.map_structure(keras.ops.convert_to_tensor, arrays)


def arrays(tensors):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, tensors)


def wigner_of(vectors, lmax=4):
    """Wigner matrices for l = 0..lmax, by NumPy frames."""
    return wigner_d(tensors(edge_frames(vectors)), lmax)


def seen_from(features, irreps, vectors):
    """Features in the frame of each edge, computed edge by edge."""
    irreps = Irreps(irreps)
    parts = {}
    for (mul, irrep), where in zip(irreps, irreps.slices()):
        x = features[:, :, where].reshape(*vectors.shape[:2], irrep.dim, mul)
        frames = wigner_d_matrix(irrep.l, edge_frames(vectors))
        x = frame_rows(irrep.l, irrep.is_natural) @ frames @ x
        kinds = irrep_kinds(irrep)
        rows = np.split(x, np.arange(1, 2 * irrep.l, 2), axis=2)
        for kind, piece in zip(kinds, rows):
            parts.setdefault(kind, []).append(piece)
    return {k: np.concatenate(v, axis=-1) for k, v in parts.items()}


def assert_same(found, expected, atol=1e-12):
    assert set(found) == set(expected)
    for kind, x in expected.items():
        np.testing.assert_allclose(found[kind], x, atol=atol, err_msg=kind)


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(5, Irreps(IRREPS).dim))


def test_rotating_into_the_edges(cluster, features):
    vectors = cluster["edge_vectors"]
    found = rotate_into_edges(tensors(features), IRREPS, wigner_of(vectors))
    own = np.broadcast_to(
        features[:, None], (*vectors.shape[:2], features.shape[1])
    )
    assert_same(arrays(found), seen_from(own, IRREPS, vectors))
    channels = {k: x.shape[-1] for k, x in found.items()}
    assert channels == EdgeIrreps(IRREPS)


def test_features_of_the_other_atom(cluster, features):
    """The atom at the far end, seen in the frame of the edge itself."""
    vectors, mask = cluster["edge_vectors"], cluster["edge_mask"] > 0
    own = rotate_into_edges(tensors(features), IRREPS, wigner_of(vectors))
    found = reverse_edges(own, IRREPS, tensors(cluster["reverse_edge"]))
    other = features[cluster["neighbors"]]
    expected = seen_from(other, IRREPS, vectors)
    assert_same(
        {k: x[mask] for k, x in arrays(found).items()},
        {k: x[mask] for k, x in expected.items()},
    )


def test_rotating_in_and_out_again(cluster, features):
    wigner = wigner_of(cluster["edge_vectors"])
    weights = np.random.default_rng(1).normal(size=cluster["edge_mask"].shape)
    edges = rotate_into_edges(tensors(features), IRREPS, wigner)
    weighted = [w * tensors(weights)[..., None, None] for w in wigner]
    found = arrays(sum_over_edges(edges, IRREPS, weighted))
    expected = features * weights.sum(1)[:, None]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("missing", [("0-",), ("4",), ("3", "4")])
def test_kinds_that_are_missing_are_zero(cluster, missing):
    random = np.random.default_rng(2)
    shape = cluster["edge_mask"].shape
    irreps = "2x1e + 1x2o + 2x4e"  # every 0- is at the start of its irrep
    edges = {
        kind: random.normal(size=(*shape, edge_dim(kind), num))
        for kind, num in EdgeIrreps(irreps).items()
    }
    for kind in missing:
        edges[kind][:] = 0
    wigner = wigner_of(cluster["edge_vectors"])
    whole = sum_over_edges(tensors(edges), irreps, wigner)
    for kind in missing:
        del edges[kind]
    found = sum_over_edges(tensors(edges), irreps, wigner)
    np.testing.assert_allclose(arrays(found), arrays(whole), atol=1e-12)


def test_linear_map_of_several_inputs():
    random = np.random.default_rng(3)
    first = {"0+": random.normal(size=(2, 3, 1, 4))}
    second = {
        "0+": random.normal(size=(2, 3, 1, 2)),
        "1": random.normal(size=(2, 3, 2, 5)),
    }
    kernels = {
        "0+": [random.normal(size=(4, 6)), random.normal(size=(2, 6))],
        "1": [None, random.normal(size=(5, 3))],
    }
    found = so2_linear(
        [tensors(first), tensors(second)],
        {
            k: [None if x is None else tensors(x) for x in v]
            for k, v in kernels.items()
        },
    )
    expected = {
        "0+": first["0+"] @ kernels["0+"][0] + second["0+"] @ kernels["0+"][1],
        "1": second["1"] @ kernels["1"][1],
    }
    assert_same(arrays(found), expected)


# One channel of each irrep: then both layouts agree.
ALL = "0e + 0o + 1o + 1e + 2e + 2o + 3o + 3e + 4e"
SPANS = [
    # All harmonics that can couple: the parametrisations are equal.
    ("0e + 1o + 2e + 3o + 4e", "0e + 1o + 2e + 3o + 4e", 8, True),
    ("0e + 1o + 2e", "0o + 1e + 2o", 4, True),  # natural to unnatural
    ("0o + 1e + 2o + 1o", "0e + 1e + 1o + 2o", 4, True),  # mixed
    # DeepH-E3's harmonics: theirs is contained in ours.
    (ALL, ALL, 4, False),
]


def product(x, wigner, irreps_in, irreps_out, kernels):
    edges = rotate_into_edges(x, irreps_in, wigner)
    mixed = so2_linear([edges], kernels)
    return arrays(sum_over_edges(mixed, irreps_out, wigner))


def unit_kernels(irreps_in, irreps_out):
    """Each weight of the SO(2) map in turn one, all others zero."""
    channels = EdgeIrreps(irreps_in), EdgeIrreps(irreps_out)
    shapes = {
        kind: (n, channels[1][kind])
        for kind, n in channels[0].items()
        if kind in channels[1]
    }
    for kind, shape in shapes.items():
        for k in range(np.prod(shape)):
            kernels = {other: np.zeros(s) for other, s in shapes.items()}
            kernels[kind].flat[k] = 1
            yield {other: [tensors(x)] for other, x in kernels.items()}


# JAX compiles every operation by itself: the small ones there.
if keras.config.backend() == "jax":
    SPANS = SPANS[1:3]


@pytest.mark.parametrize("irreps_in, irreps_out, lmax, is_equal", SPANS)
def test_spans_the_tensor_product_of_e3nn(
    o3, irreps_in, irreps_out, lmax, is_equal
):
    """Weights of ours that make e3nn's product, found on random inputs."""
    import torch

    theirs = o3.FullyConnectedTensorProduct(
        irreps_in, o3.Irreps.spherical_harmonics(lmax), irreps_out
    )
    dim_in = Irreps(irreps_in).dim

    def sample(seed, number):
        random = np.random.default_rng(seed)
        x = random.normal(size=(number, dim_in))
        vectors = random.normal(size=(number, 1, 3))
        harmonics = o3.spherical_harmonics(
            list(range(lmax + 1)),
            torch.tensor(vectors[:, 0][:, [1, 2, 0]]),
            True,
        )
        y = theirs(torch.tensor(x), harmonics).detach().numpy()
        wigner = wigner_of(vectors)
        columns = [
            product(tensors(x), wigner, irreps_in, irreps_out, k).ravel()
            for k in unit_kernels(irreps_in, irreps_out)
        ]
        return np.array(columns).T, y

    design, y = sample(0, 60)
    weights, _, rank, _ = np.linalg.lstsq(design, y.ravel(), rcond=1e-10)
    assert rank == design.shape[1]  # no weight of ours is idle
    design, y = sample(1, 60)
    error = np.abs(design @ weights - y.ravel()).max()
    assert error < 1e-10 * np.abs(y).max()
    if is_equal:
        assert design.shape[1] == theirs.weight_numel
    else:
        assert design.shape[1] > theirs.weight_numel


def test_product_is_equivariant(cluster, features):
    random = np.random.default_rng(4)
    kernels = {
        kind: [tensors(random.normal(size=(n, n)))]
        for kind, n in EdgeIrreps(IRREPS).items()
    }
    vectors = cluster["edge_vectors"]
    plain = product(
        tensors(features), wigner_of(vectors), IRREPS, IRREPS, kernels
    )
    rotation = random_rotations(1, seed=0)[0]
    for improper in (rotation, -rotation):
        matrix = Irreps(IRREPS).d_matrix(improper)
        found = product(
            tensors(features @ matrix.T),
            wigner_of(vectors @ improper.T),
            IRREPS,
            IRREPS,
            kernels,
        )
        np.testing.assert_allclose(found, plain @ matrix.T, atol=1e-11)
