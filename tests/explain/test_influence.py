"""Influence against what must hold: predicted sizes, differences."""

import json

import numpy as np
import pytest
from explained_models import chain
from explained_models import cluster
from explained_models import on_tensorflow
from explained_models import ring
from explained_models import small_cascade
from explained_models import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.fixed_graph import FixedGraph
from keras_hamiltonian.explain.targets import BlockTarget
from keras_hamiltonian.explain.targets import KindTarget

pytestmark = [on_tensorflow, pytest.mark.usefixtures("double_precision")]


def influence(*arguments, **options):
    return kh.explain.saliency(*arguments, **options)


def size_at(model, atoms, target):
    """Norm of a predicted block, from `kh.predict`."""
    blocks = kh.predict(model, atoms).hamiltonian
    block = blocks.find((*target.shift, target.i, target.j))
    return np.linalg.norm(block)


def explained_sizes(model, atoms, targets):
    """Norms of what is explained, without the gradients."""
    graph = FixedGraph(model, atoms)
    blocks = graph.evaluate()
    return [np.linalg.norm(graph.entries(t, blocks)) for t in targets]


# === What is explained ===


@pytest.mark.parametrize("target", [BlockTarget(1, 2), BlockTarget(3, 3)])
@pytest.mark.parametrize("hermitian", [True, False])
@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_size_is_that_of_the_predicted_block(target, spin, hermitian):
    irreps = "4x0e + 3x1o + 2x2e + 2x1e"
    model = small_stage(spin, irreps=irreps, hermitian=hermitian)
    (size,) = explained_sizes(model, cluster(), [target])
    assert size == pytest.approx(size_at(model, cluster(), target), rel=1e-10)


def test_parts_of_a_block(one_stage):
    atoms = cluster()
    whole = kh.predict(one_stage, atoms).hamiltonian.find((0, 0, 0, 0, 1))
    targets = [
        BlockTarget(0, 1, rows="p1", columns="s1"),
        BlockTarget(0, 1, columns=2),
        BlockTarget(0, 1, rows="s1"),
    ]
    parts = whole[1:, :1], whole[:, 2], whole[0]
    np.testing.assert_allclose(
        explained_sizes(one_stage, atoms, targets),
        [np.linalg.norm(part) for part in parts],
        rtol=1e-10,
    )


def test_kinds_of_blocks(one_stage):
    atoms = cluster()
    blocks = kh.predict(one_stage, atoms).hamiltonian
    onsite, hopping, equal = [], [], []
    for k, (*shift, i, j) in enumerate(blocks.atom_pairs.tolist()):
        block = blocks.find((*shift, i, j))
        if atoms[i].symbol == "C" and i == j:
            onsite.append(block)
        if (atoms[i].symbol, atoms[j].symbol) == ("C", "N"):
            hopping.append(block)
        # Of equal elements each edge once, as of different ones.
        if atoms[i].symbol == atoms[j].symbol == "C" and i < j:
            equal.append(block)
    targets = [KindTarget("C", onsite=True), KindTarget("C", "N")]
    targets.append(KindTarget("C"))
    np.testing.assert_allclose(
        explained_sizes(one_stage, atoms, targets),
        [np.linalg.norm(blocks) for blocks in (onsite, hopping, equal)],
        rtol=1e-9,
    )
    found = influence(one_stage, atoms, targets[0])
    assert found.size == pytest.approx(np.linalg.norm(onsite), rel=1e-9)
    with pytest.raises(ValueError, match="all over the crystal"):
        found.against_distance()


def test_correction_is_what_the_second_stage_adds(two_stages):
    atoms = cluster()
    found = influence(two_stages, atoms, BlockTarget(0, 1, correction=True))
    pair = (0, 0, 0, 0, 1)
    both, first = (
        kh.predict(model, atoms).hamiltonian.find(pair)
        for model in (two_stages, two_stages.stage)
    )
    assert found.size == pytest.approx(np.linalg.norm(both - first), rel=1e-8)
    assert found.size > 1e-3
    assert found.atom_influence.min() > 0


def test_no_correction_has_no_influence():
    found = influence(
        small_cascade(scale=0.0), cluster(), BlockTarget(0, 1, correction=True)
    )
    assert found.size < 1e-9
    assert np.abs(found.atom_gradients).max() < 1e-9


# === Gradients ===


@pytest.mark.parametrize(
    "name, target",
    [
        ("one_stage", BlockTarget(0, 1)),
        ("one_stage", BlockTarget(2, 2)),
        ("two_stages", BlockTarget(0, 1)),
    ],
)
def test_finite_differences(name, target, request):
    model = request.getfixturevalue(name)
    found = influence(model, cluster(), target)
    size = size_at(model, cluster(), target)
    assert found.size == pytest.approx(size, rel=1e-10)
    step = 1e-4
    one = np.zeros((5, 3))
    one[3, 2] = 1
    # All components at once, and one alone.
    for vectors in (np.random.default_rng(0).normal(size=(5, 3)), one):
        sizes = []
        for sign in (1, -1):
            moved = cluster()
            moved.positions += sign * step * vectors
            sizes.append(size_at(model, moved, target))
        slope = (sizes[0] - sizes[1]) / (2 * step)
        expected = (found.atom_gradients * vectors).sum()
        assert slope == pytest.approx(expected, abs=2e-6, rel=1e-5)
    assert found.atom_influence.max() > 1e-2


def test_edges_of_an_atom_add_up_to_the_atom(two_stages):
    found = influence(two_stages, ring(), BlockTarget(0, 1))
    total = np.zeros((2, 3))
    np.add.at(total, found.edges[:, 4], found.edge_gradients)
    np.add.at(total, found.edges[:, 3], -found.edge_gradients)
    np.testing.assert_allclose(total, found.atom_gradients, atol=1e-10)
    assert found.edge_influence.max() > 1e-3


def test_a_uniform_displacement_changes_nothing(one_stage):
    found = influence(one_stage, cluster(), BlockTarget(0, 1))
    assert np.abs(found.atom_gradients.sum(axis=0)).max() < 1e-10


def test_features_by_finite_differences(two_stages):
    """Making all features of one group larger, by a common factor."""
    graph = FixedGraph(two_stages, cluster())
    target = BlockTarget(0, 1)
    weights = kh.explain.activation_map(two_stages, cluster(), target, group=1)
    features = np.asarray(graph.evaluate()["atoms_1"])
    step = 1e-5
    for atom in (0, 3):
        change = np.zeros_like(features)
        change[:, atom] = features[:, atom]
        sizes = [
            np.linalg.norm(
                graph.entries(target, graph.evaluate(atoms_1=s * change))
            )
            for s in (step, -step)
        ]
        slope = (sizes[0] - sizes[1]) / (2 * step)
        assert slope == pytest.approx(weights[atom], rel=1e-5, abs=1e-9)
    assert np.abs(weights).max() > 1e-4


# === SmoothGrad ===


def test_smooth_grad(one_stage):
    target = BlockTarget(0, 1)
    plain = influence(one_stage, cluster(), target)
    still = influence(one_stage, cluster(), target, samples=1, noise=0.0)
    np.testing.assert_allclose(
        still.atom_gradients, plain.atom_gradients, atol=1e-12
    )
    np.testing.assert_allclose(still.degrees, plain.degrees, atol=1e-12)
    options = {"samples": 2, "noise": 0.05}
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    one, same, other = (
        influence(one_stage, cluster(), target, seed=seed, **options)
        for seed in (1, 1, 2)
    )
    assert (np.random.get_state()[1] == before).all()
    np.testing.assert_array_equal(one.atom_gradients, same.atom_gradients)
    gap = np.abs(one.atom_gradients - other.atom_gradients).max()
    assert gap > 1e-4
    assert one.settings == {"samples": 2, "noise": 0.05, "seed": 1}


def test_noise_is_in_angstrom(one_stage, monkeypatch):
    """Standard deviation of the positions that the model is shown."""
    seen = []
    normal = np.random.normal

    def watched(mean, sigma, shape):
        seen.append(float(np.max(np.asarray(sigma))))
        return normal(mean, sigma, shape)

    monkeypatch.setattr(np.random, "normal", watched)
    influence(one_stage, chain(5), BlockTarget(0, 1), samples=2, noise=0.03)
    # The positions come first; nothing else is disturbed.
    assert seen[0] == pytest.approx(0.03, rel=1e-6)
    assert not any(seen[1:])


# === Files and mistakes ===


def test_file(one_stage, tmp_path):
    found = influence(one_stage, cluster(), BlockTarget(0, 1))
    found.write(tmp_path / "influence.json")
    read = json.loads((tmp_path / "influence.json").read_text())
    np.testing.assert_allclose(
        read["atom_gradients_ev_per_angstrom"], found.atom_gradients
    )
    assert read["target"] == "H(0, 1)"


@pytest.mark.parametrize(
    "target, message",
    [
        (BlockTarget(0, 9), "atoms 0 to 4.*atom 9"),
        (BlockTarget(0, 1, (4, 0, 0)), "out of the reach of atom 0.*Within"),
        (BlockTarget(0, 1, rows="d1"), "shells s1, p1.*'d1'"),
        (BlockTarget(0, 1, columns=7), "orbitals 0 to 3.*7"),
        (BlockTarget(0, 1, correction=True), "has one stage"),
        (KindTarget("Si"), "has C, N.*'Si'"),
        (KindTarget("C", "N", onsite=True), "one element.*C-N"),
    ],
)
def test_targets_that_do_not_exist(one_stage, target, message):
    with pytest.raises(ValueError, match=message):
        influence(one_stage, cluster(), target)


@pytest.mark.parametrize("repeat", [(0, 1, 1), (1, 1), (1.5, 1, 1)])
def test_repeats_that_are_no_supercell(one_stage, repeat):
    with pytest.raises(ValueError, match="`repeat` is three.*Received"):
        influence(one_stage, cluster(), BlockTarget(0, 1), repeat)


def test_groups_that_have_no_map(one_stage):
    for group in (0, 2, 5):
        with pytest.raises(ValueError, match=f"2 groups.*group={group}"):
            kh.explain.activation_map(
                one_stage, cluster(), BlockTarget(0, 1), group
            )


def test_a_model_without_first_stage():
    model = kh.models.StandaloneTransformerStage(
        {"C": "1s 1p"},
        {"C": 1.35},
        width=8,
        num_heads=2,
        num_blocks=1,
        dtype="float64",
    )
    found = influence(model, chain(4), BlockTarget(0, 1))
    assert found.elements is None
    assert found.degrees.size == 0
    assert found.atom_gradients.shape == (4, 3)
