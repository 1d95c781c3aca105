"""Attention maps: the very weights of the output, and the right symmetry."""

import dataclasses

import ase.build
import keras
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.attention import AttentionMaps
from keras_hamiltonian.explain.attention import attention_maps
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.layers.attention.edge_attention import EdgeAttention
from keras_hamiltonian.layers.attention.neighbor_attention import (
    NeighborAttention,
)

FREE = {"width": 16, "num_heads": 2, "num_blocks": 1}
SYMMETRIC = {
    "channels": 8,
    "hidden": 12,
    "irreps": "8x0e + 4x1o + 4x2e",
    "num_heads": 2,
    "num_gaussians": 8,
}


@pytest.fixture(scope="module")
def stage(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    return small_stage(store)


@pytest.fixture(scope="module")
def free(stage):
    refinement = kh.models.TransformerStage.for_stage(stage, **FREE)
    return kh.models.HamiltonianCascade(stage, refinement)


@pytest.fixture(scope="module")
def symmetric(stage):
    refinement = kh.models.EquivariantTransformerStage.for_stage(
        stage, **SYMMETRIC
    )
    return kh.models.HamiltonianCascade(stage, refinement)


@pytest.fixture(params=["free", "symmetric"])
def cascade(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def crystal(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0].atoms


@pytest.fixture
def rattled(crystal):
    crystal.rattle(0.05, seed=0)
    return crystal


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def graph_of_two():
    """An atom with three of four neighbours, and one without any."""
    return {
        "neighbors": np.array([[1, 1, 0, 0], [1, 1, 1, 1]], "int32"),
        "envelope": np.array([[1, 0.5, 0.1, 0], [0, 0, 0, 0]], "float32"),
        "edge_mask": np.array([[1, 1, 1, 0], [0, 0, 0, 0]], "float32"),
    }


# === The layers ===


def test_free_weights_make_the_output():
    random = np.random.default_rng(0)
    layer = NeighborAttention(num_heads=2)
    atoms = random.normal(size=(2, 8)).astype("float32")
    edges = random.normal(size=(2, 4, 8)).astype("float32")
    graph = graph_of_two()
    arguments = keras.tree.map_structure(
        keras.ops.convert_to_tensor, {"atoms": atoms, "edges": edges, **graph}
    )
    output = numpy(layer(**arguments))
    weights = numpy(layer.attention_weights(**arguments))
    assert weights.shape == (2, 4, 2)
    np.testing.assert_allclose(weights[0].sum(axis=0), 1, rtol=1e-6)
    assert weights[0, :3].min() > 0
    assert not weights[0, 3].any() and not weights[1].any()
    kernel = {w.path.split("/")[-2]: numpy(w) for w in layer.heads.weights}
    said = np.concatenate([edges, atoms[graph["neighbors"]]], axis=-1)
    values = np.einsum("nmc,chk->nmhk", said, kernel["value"])
    summed = weights * graph["envelope"][..., None]
    out = kernel["attention_output"]
    found = np.einsum("nmh,nmhk,hkd->nd", summed, values, out)
    np.testing.assert_allclose(found, output, atol=1e-5)


def test_symmetric_weights_make_the_output():
    random = np.random.default_rng(0)
    layer = EdgeAttention("6x0+", "5x0e", num_heads=2)
    scalars = random.normal(size=(2, 4, 1, 6)).astype("float32")
    envelope = graph_of_two()["envelope"]
    arguments = {
        "edges": {"0+": keras.ops.convert_to_tensor(scalars)},
        "envelope": keras.ops.convert_to_tensor(envelope),
    }
    ones = keras.ops.ones((2, 4, 1, 1))
    output = numpy(layer(**arguments, wigner=[ones]))
    weights = numpy(layer.attention_weights(**arguments))
    total = weights.sum(axis=1)
    assert (total[0] > 0).all() and (total[0] < 1).all()
    assert not weights[0, 3].any() and not weights[1].any()
    unit = keras.ops.reshape(keras.ops.eye(6), (6, 1, 1, 6))
    matrix = numpy(layer.linear.call([{"0+": unit}])["0+"])[:, 0, 0]
    heads = scalars.reshape(2, 4, 2, 3)
    summed = np.einsum("nmh,nmhc->nhc", weights, heads).reshape(2, 6)
    np.testing.assert_allclose(summed @ matrix, output, atol=1e-5)


# === The maps of a model ===


def test_every_head_of_every_block_looks_at_every_edge(cascade, rattled):
    maps = attention_maps(cascade, rattled)
    num_atoms, num_neighbors = maps.neighbors.shape
    assert num_atoms == len(rattled)
    shape = (len(maps.blocks), 2, num_atoms, num_neighbors)
    assert maps.weights.shape == shape and len(maps.blocks) == 2
    real = np.broadcast_to(maps.edge_mask, shape)
    assert not maps.weights[~real].any()
    total = maps.weights.sum(axis=-1)
    if isinstance(cascade.refinement, kh.models.TransformerStage):
        np.testing.assert_allclose(total, 1, rtol=1e-5)
        assert (maps.attention < maps.weights)[real].any()
    else:
        assert (total > 0).all() and (total < 1).all()
        np.testing.assert_array_equal(maps.attention, maps.weights)


def test_a_map_does_not_mind_the_order_of_atoms(cascade, rattled):
    rattled = rattled * (2, 1, 1)
    rattled.rattle(0.05, seed=1)
    order = np.array([2, 0, 3, 1])
    found = edges_of(attention_maps(cascade, rattled[order]))
    for (i, *rest), weights in edges_of(
        attention_maps(cascade, rattled)
    ).items():
        key = (int(np.flatnonzero(order == i)[0]), *rest)
        np.testing.assert_allclose(found.pop(key), weights, atol=1e-5)
    assert not found


def edges_of(maps):
    """Weights of each edge by its first atom and its vector."""
    return {
        (int(i), *np.round(maps.edge_vectors[i, m], 3).tolist()): maps.weights[
            :, :, i, m
        ]
        for i, m in zip(*np.nonzero(maps.edge_mask))
    }


def test_only_the_symmetric_stage_looks_alike_at_a_rotated_crystal(
    free, symmetric, rattled
):
    rotated = rattled.copy()
    rotation = random_rotations(1, 0)[0]
    rotated.set_cell(np.asarray(rattled.cell) @ rotation.T, scale_atoms=True)
    changes = {}
    for name, model in (("free", free), ("symmetric", symmetric)):
        before, after = (attention_maps(model, a) for a in (rattled, rotated))
        np.testing.assert_array_equal(before.neighbors, after.neighbors)
        real = before.edge_mask
        np.testing.assert_allclose(
            before.edge_vectors[real] @ rotation.T,
            after.edge_vectors[real],
            atol=1e-5,
        )
        changes[name] = np.abs(after.weights - before.weights).max()
    assert changes["symmetric"] < 1e-5
    assert changes["free"] > 1e-3


def test_one_shell_has_equal_weights(free, symmetric, crystal):
    """D3h: three first neighbours, six second ones, three third ones."""
    spread = {}
    for name, model in (("free", free), ("symmetric", symmetric)):
        maps = attention_maps(model, crystal)
        assert np.ptp(maps.lengths[:, :3]) < 1e-4
        shells = [maps.weights[..., 0:3], maps.weights[..., 3:9]]
        shells.append(maps.weights[..., 9:12])
        spread[name] = max(np.ptp(shell, axis=-1).max() for shell in shells)
        means = np.stack([shell.mean(axis=-1) for shell in shells])
        assert np.ptp(means, axis=0).min() > 1e-4
        np.testing.assert_allclose(
            maps.angles[:, :12],
            np.tile([0] * 3 + [30] * 6 + [60] * 3, (2, 1)),
            atol=0.05,
        )
    assert spread["symmetric"] < 1e-5
    assert spread["free"] > 1e-3


def test_a_transformer_that_works_alone(stage, rattled):
    alone = kh.models.StandaloneTransformerStage(
        stage.arguments["basis"], stage.reaches, **FREE
    )
    maps = attention_maps(alone, rattled)
    assert maps.blocks == ["block_1_1", "block_2_1", "block_3_1"]
    np.testing.assert_allclose(maps.weights.sum(axis=-1), 1, rtol=1e-5)


def both_cascades(store):
    """With the free second stage and with the symmetric one."""
    stage = small_stage(store, 1)
    for kind, options in (
        (kh.models.TransformerStage, FREE),
        (kh.models.EquivariantTransformerStage, SYMMETRIC),
    ):
        refinement = kind.for_stage(stage, **options)
        yield kh.models.HamiltonianCascade(stage, refinement)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)
@pytest.mark.parametrize("name", ["reference_mos2", "reference_bismuthene"])
def test_two_elements_and_spin(name, data_folder):
    store = kh.HamiltonianStore(data_folder / f"{name}.h5")
    ideal = store[0].atoms
    moved, rotated = ideal.copy(), ideal.copy()
    moved.rattle(0.05, seed=0)
    rotation = random_rotations(1, 0)[0]
    rotated.positions = moved.positions
    rotated.set_cell(np.asarray(moved.cell) @ rotation.T, scale_atoms=True)
    counts, changes = [], []
    for cascade in both_cascades(store):
        is_spinful = cascade.spin != "none"
        assert is_spinful == (name == "reference_bismuthene")
        before, after = (attention_maps(cascade, a) for a in (moved, rotated))
        assert before.weights[:, :, before.edge_mask].min() > 0
        assert not before.weights[:, :, ~before.edge_mask].any()
        # Edges to an atom's own images are in no certain order.
        before, after = (np.sort(m.weights) for m in (before, after))
        changes.append(np.abs(after - before).max())
        counts.append(attention_maps(cascade, ideal).num_attended())
    free, symmetric = changes
    assert symmetric < 1e-5 and free > 1e-3
    # A mirror or an inversion exchanges two atoms of an element.
    numbers = ideal.numbers
    one, other = np.flatnonzero(numbers == numbers[-1])[-2:]
    gap = np.abs(counts[1] - counts[1][..., [one]]).max(axis=(0, 1))
    assert gap[other] < 1e-3
    assert (gap[numbers != numbers[-1]] > 1e-2).all()


def test_what_has_no_attention_is_told(stage, free, rattled):
    with pytest.raises(ValueError, match="EquivariantStage has no attention"):
        attention_maps(stage, rattled)
    with pytest.raises(ValueError, match="features of the first"):
        attention_maps(free.refinement, rattled)
    ablated = kh.models.TransformerStage.for_stage(
        stage, **FREE, attention=False
    )
    cascade = kh.models.HamiltonianCascade(stage, ablated)
    with pytest.raises(ValueError, match="attention=False"):
        attention_maps(cascade, rattled)


# === What is read off a map ===


@pytest.fixture
def planted():
    """A crystal whose map says how far away a neighbour is, and no more."""
    atoms = ase.build.graphene(vacuum=5.0) * (3, 3, 1)
    atoms.rattle(0.03, seed=0)
    pairs = kh.structures.pairs_within(atoms, {"C": 1.6})
    table = kh.structures.neighbor_table(atoms, pairs)
    lengths = np.linalg.norm(table.edge_vectors, axis=-1)
    weights = np.where(table.edge_mask, np.where(lengths < 2, 0.3, 0.01), 0.0)
    return AttentionMaps(
        atoms,
        ["block"],
        weights[None, None],
        table.edge_mask.astype(float),
        table.neighbors,
        table.edge_vectors,
        table.edge_mask,
    )


def test_a_head_that_minds_distance_alone(planted):
    found = planted.against_distance()
    assert found["count"].sum() == planted.edge_mask.sum()
    near = found["to"] <= 2
    np.testing.assert_allclose(found["mean"][0, 0, near], 0.3)
    np.testing.assert_allclose(found["mean"][0, 0, ~near], 0.01)
    # 18 atoms, 3 first and 9 others within 3.2 Å.
    share = found["share"][0, 0]
    np.testing.assert_allclose(share.sum(), 1)
    np.testing.assert_allclose(share[near].sum(), 0.9 / 0.99)
    np.testing.assert_allclose(planted.against_angle()["relative"], 1)


def test_a_head_that_minds_directions(planted):
    aligned = planted.angles < 15
    weights = (
        np.where(aligned & planted.edge_mask, 2.0, 1.0) * planted.edge_mask
    )
    maps = dataclasses.replace(planted, weights=weights[None, None])
    found = maps.against_angle()
    along = found["to"] <= 10
    # No edge at 2.46 Å or 2.84 Å lies along one of the atom's own.
    np.testing.assert_allclose(found["relative"], 1, atol=1e-12)
    np.testing.assert_allclose(found["mean"][0, 0, along], 2)
    np.testing.assert_allclose(found["mean"][0, 0, found["from"] >= 20], 1)
    # Second neighbours are at 30°, give or take the displacements.
    weights = np.where(planted.angles > 30, 3.0, 1.0) * planted.edge_mask
    maps = dataclasses.replace(planted, weights=weights[None, None])
    found = maps.against_angle()
    relative = dict(zip(found["from"].tolist(), found["relative"][0, 0]))
    assert relative[0.0] == pytest.approx(1)
    assert relative[20.0] < 0.7 and relative[30.0] > 1.3
    assert maps.mean_by_length().sum() == pytest.approx(weights.sum())


def test_effective_number_of_neighbours(planted):
    alike = planted.edge_mask / planted.edge_mask.sum(axis=1, keepdims=True)
    first = np.zeros_like(alike)
    first[:, 0] = 0.7
    nobody = np.zeros_like(alike)
    maps = dataclasses.replace(
        planted, weights=np.stack([alike, first, nobody])[None]
    )
    found = maps.num_attended()[0]
    np.testing.assert_allclose(found[0], 12)
    np.testing.assert_allclose(found[1], 1)
    np.testing.assert_array_equal(found[2], 0)
