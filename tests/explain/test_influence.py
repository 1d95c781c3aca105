"""Influence against what must hold: locality, symmetry, differences."""

import json

import ase
import keras
import numpy as np
import pytest
from explained_models import chain
from explained_models import cluster
from explained_models import ring
from explained_models import small_cascade
from explained_models import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.targets import BlockTarget
from keras_hamiltonian.explain.targets import KindTarget
from keras_hamiltonian.explain.targets import repeats_for
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.structures.neighbors import pairs_within

if keras.config.backend() != "tensorflow":
    # Before anything imports TensorFlow beside another backend.
    pytest.skip(
        "tf-keras-vis works on TensorFlow alone", allow_module_level=True
    )
pytest.importorskip("tf_keras_vis")


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    default = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(default)


@pytest.fixture(scope="module")
def stage(double_precision):
    return small_stage()


@pytest.fixture(scope="module")
def cascade(double_precision):
    return small_cascade()


def influence(*arguments, **options):
    return kh.explain.saliency(*arguments, **options)


def hops_from(atoms, reaches, start):
    """Fewest bonds from the atoms `start` to each atom."""
    pairs = pairs_within(atoms, reaches)[:, 3:]
    hops = np.full(len(atoms), np.inf)
    hops[list(start)] = 0
    for _ in atoms:
        np.minimum.at(hops, pairs[:, 1], hops[pairs[:, 0]] + 1)
    return hops


def size_at(model, atoms, target):
    """Norm of a predicted block, from `kh.predict`."""
    blocks = kh.predict(model, atoms).hamiltonian
    block = blocks.find((*target.shift, target.i, target.j))
    return np.linalg.norm(block)


# === What is explained ===


@pytest.mark.parametrize("target", [BlockTarget(1, 2), BlockTarget(3, 3)])
@pytest.mark.parametrize("hermitian", [True, False])
@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_size_is_that_of_the_predicted_block(target, spin, hermitian):
    irreps = "4x0e + 3x1o + 2x2e + 2x1e"
    model = small_stage(spin, irreps=irreps, hermitian=hermitian)
    found = influence(model, cluster(), target)
    assert found.size == pytest.approx(
        size_at(model, cluster(), target), rel=1e-10
    )


def test_parts_of_a_block(stage):
    atoms = cluster()
    whole = kh.predict(stage, atoms).hamiltonian.find((0, 0, 0, 0, 1))
    for rows, columns, part in (
        ("p1", "s1", whole[1:, :1]),
        (None, 2, whole[:, 2]),
        ("s1", None, whole[0]),
    ):
        found = influence(
            stage, atoms, BlockTarget(0, 1, (0, 0, 0), rows, columns)
        )
        assert found.size == pytest.approx(np.linalg.norm(part), rel=1e-10)


def test_kinds_of_blocks(stage):
    atoms = cluster()
    blocks = kh.predict(stage, atoms).hamiltonian
    onsite, hopping, equal = [], [], []
    for k, (*shift, i, j) in enumerate(blocks.atom_pairs.tolist()):
        block = blocks.find((*shift, i, j))
        if atoms[i].symbol == "C" and i == j:
            onsite.append(block)
        if (atoms[i].symbol, atoms[j].symbol) == ("C", "N"):
            hopping.append(block)
        # Of equal elements each bond once, as of different ones.
        if atoms[i].symbol == atoms[j].symbol == "C" and i < j:
            equal.append(block)
    for target, expected in (
        (KindTarget("C", onsite=True), onsite),
        (KindTarget("C", "N"), hopping),
        (KindTarget("C"), equal),
    ):
        found = influence(stage, atoms, target)
        assert found.size == pytest.approx(np.linalg.norm(expected), rel=1e-9)
        with pytest.raises(ValueError, match="all over the crystal"):
            found.against_distance()


def test_correction_is_what_the_second_stage_adds(cascade):
    atoms = cluster()
    found = influence(cascade, atoms, BlockTarget(0, 1, correction=True))
    pair = (0, 0, 0, 0, 1)
    both, first = (
        kh.predict(model, atoms).hamiltonian.find(pair)
        for model in (cascade, cascade.stage)
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


@pytest.mark.parametrize("name", ["stage", "cascade"])
@pytest.mark.parametrize("target", [BlockTarget(0, 1), BlockTarget(2, 2)])
def test_finite_differences(name, target, request):
    model = request.getfixturevalue(name)
    found = influence(model, cluster(), target)
    step = 1e-4
    for atom, axis in ((0, 1), (3, 2), (4, 0)):
        sizes = []
        for sign in (1, -1):
            moved = cluster()
            moved.positions[atom, axis] += sign * step
            sizes.append(size_at(model, moved, target))
        slope = (sizes[0] - sizes[1]) / (2 * step)
        expected = found.atom_gradients[atom, axis]
        assert slope == pytest.approx(expected, abs=1e-6, rel=1e-5)
    assert found.atom_influence.max() > 1e-2


def test_bonds_of_an_atom_add_up_to_the_atom(cascade):
    found = influence(cascade, ring(), BlockTarget(0, 1))
    total = np.zeros((2, 3))
    np.add.at(total, found.bonds[:, 4], found.bond_gradients)
    np.add.at(total, found.bonds[:, 3], -found.bond_gradients)
    np.testing.assert_allclose(total, found.atom_gradients, atol=1e-10)
    assert found.bond_influence.max() > 1e-3


def test_a_uniform_displacement_changes_nothing(stage):
    found = influence(stage, cluster(), BlockTarget(0, 1))
    assert np.abs(found.atom_gradients.sum(axis=0)).max() < 1e-10


def test_features_by_finite_differences(cascade):
    """Making all features of one group larger, by a common factor."""
    graph = kh.explain.fixed_graph.FixedGraph(cascade, cluster())
    target = BlockTarget(0, 1)
    weights = kh.explain.activation_map(cascade, cluster(), target, group=1)
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


# === Locality ===


def read_from(atoms, model, target):
    """Atoms whose features make a block: its own and, with projectors, those
    near both of them."""
    found = {target.i, target.j}
    if model.arguments["projectors"]:
        near = [hops_from(atoms, model.reaches, {k}) <= 1 for k in found]
        found |= set(np.flatnonzero(np.all(near, axis=0)).tolist())
    return found


@pytest.mark.parametrize("target", [BlockTarget(1, 2), BlockTarget(1, 1)])
@pytest.mark.parametrize("num_groups, projectors", [(1, ""), (2, "1s 1p")])
def test_zero_outside_the_receptive_field(target, num_groups, projectors):
    model = small_stage(num_groups=num_groups, projectors=projectors)
    atoms = chain(9)
    start = read_from(atoms, model, target)
    hops = hops_from(atoms, model.reaches, start)
    # Each group hears one bond farther.
    is_inside = hops <= num_groups
    found = influence(model, atoms, target)
    assert (~is_inside).sum() > 2
    assert (found.atom_influence[~is_inside] == 0).all()
    assert (found.atom_influence[is_inside] > 0).all()
    assert (found.elements[~is_inside] == 0).all()
    leads_out = ~is_inside[found.bonds[:, 3:]].all(axis=1)
    assert (found.bond_influence[leads_out] == 0).all()
    assert (found.bond_influence[~leads_out] > 0).all()


def test_graph_norm_hears_every_atom():
    """The control: statistics of the whole structure have no field."""
    model = small_stage(num_groups=1, projectors="", norm="graph")
    found = influence(model, chain(9), BlockTarget(1, 2))
    assert (found.atom_influence > 0).all()
    assert (found.elements != 0).all()


def test_features_outside_have_no_weight(cascade):
    atoms = chain(12)
    weights = kh.explain.activation_map(cascade, atoms, BlockTarget(1, 2), 1)
    hops = hops_from(atoms, cascade.reaches, {1, 2})
    assert (weights[hops > 4] == 0).all()
    assert (weights[hops <= 1] != 0).all()


def test_images_add_up(stage):
    """In a small cell an atom acts through its images in the large one."""
    target, repeat = BlockTarget(0, 1, (-1, 0, 0)), (7, 1, 1)
    small = influence(stage, ring(), target)
    large = influence(stage, ring(), target, repeat)
    assert large.size == pytest.approx(small.size, rel=1e-10)
    images = large.atom_gradients.reshape(7, 2, 3)
    np.testing.assert_allclose(
        images.sum(axis=0), small.atom_gradients, atol=1e-10
    )
    assert large.image_distance == pytest.approx(9.8)
    # The pair is in the middle: nothing is nearer than its own atoms.
    pair = [large.target.i, large.target.j]
    assert set(large.atom_distances.argsort()[:2]) == set(pair)
    shells = large.against_distance(1.0)
    assert sum(shell["atoms"] for shell in shells) == 14
    assert shells[0]["beyond"] == pytest.approx(1)
    beyond = [shell["beyond"] for shell in shells]
    assert (np.diff(beyond) <= 0).all()
    assert beyond[1] < 1
    assert beyond[-1] == 0


def test_repeats_leave_vacuum_alone():
    assert repeats_for(ring(), 20.0) == (8, 1, 1)
    assert repeats_for(cluster(), 20.0) == (1, 1, 1)


# === Symmetry ===


def test_a_rotated_crystal_has_the_rotated_map(cascade):
    rotation = random_rotations(1, seed=3)[0]
    atoms, turned = cluster(), cluster()
    turned.positions = atoms.positions @ rotation.T
    for target in (BlockTarget(0, 1), BlockTarget(0, 2, rows="p1")):
        one, other = (
            influence(cascade, a, target, samples=0) for a in (atoms, turned)
        )
        for name in ("atom_gradients", "bond_gradients"):
            np.testing.assert_allclose(
                getattr(one, name) @ rotation.T,
                getattr(other, name),
                atol=1e-8,
            )
        for name in ("elements", "degrees", "bond_orders"):
            np.testing.assert_allclose(
                getattr(one, name), getattr(other, name), atol=1e-8
            )
        one, other = (
            kh.explain.activation_map(cascade, a, target)
            for a in (atoms, turned)
        )
        np.testing.assert_allclose(one, other, atol=1e-8)
    # A single orbital does not turn into itself.
    target = BlockTarget(0, 1, rows=1)
    one, other = (influence(cascade, a, target) for a in (atoms, turned))
    gap = np.abs(one.atom_influence - other.atom_influence).max()
    assert gap > 1e-3


def test_symmetric_atoms_have_equal_influence(cascade):
    dimer = ase.Atoms("CC", [[0, 0, 0], [0.9, 0.8, 0.4]])
    found = influence(cascade, dimer, BlockTarget(0, 1))
    for values in (found.atom_influence, found.elements):
        assert values[0] == pytest.approx(values[1], rel=1e-8)
        assert abs(values[0]) > 1e-4
    # The block of one of them breaks the symmetry.
    found = influence(cascade, dimer, BlockTarget(0, 0))
    assert abs(found.elements[0] - found.elements[1]) > 1e-4
    # So does another element.
    dimer.symbols = "CN"
    found = influence(cascade, dimer, BlockTarget(0, 1))
    assert abs(found.elements[0] - found.elements[1]) > 1e-4


def test_mirrored_ends_of_a_chain(stage):
    atoms = ase.Atoms(
        "C4", [[0, 0, 0], [1.4, 0.3, 0], [2.8, 0, 0], [4.2, 0.3, 0]]
    )
    # The rotation by half a turn about the middle exchanges the ends.
    found = influence(stage, atoms, BlockTarget(1, 2)).atom_influence
    np.testing.assert_allclose(found, found[::-1], rtol=1e-8)
    found = influence(stage, atoms, BlockTarget(0, 1)).atom_influence
    assert abs(found[0] - found[3]) > 1e-3


def test_scalars_alone_leave_degree_zero_alone():
    model = small_stage(irreps="6x0e", projectors="1s")
    found = influence(model, cluster(), BlockTarget(0, 1))
    assert found.degrees[0, 0] > 1e-4
    # The last group has what blocks need beyond the hidden irreps.
    assert (found.degrees[0, 1:] == 0).all()
    assert found.bond_orders[1, 1:].max() > 0


# === SmoothGrad ===


def test_smooth_grad(stage):
    target = BlockTarget(0, 1)
    plain = influence(stage, cluster(), target)
    still = influence(stage, cluster(), target, samples=2, noise=0.0)
    np.testing.assert_allclose(
        still.atom_gradients, plain.atom_gradients, atol=1e-12
    )
    np.testing.assert_allclose(still.degrees, plain.degrees, atol=1e-12)
    options = {"samples": 3, "noise": 0.05}
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    one, same, other = (
        influence(stage, cluster(), target, seed=seed, **options)
        for seed in (1, 1, 2)
    )
    assert (np.random.get_state()[1] == before).all()
    np.testing.assert_array_equal(one.atom_gradients, same.atom_gradients)
    gap = np.abs(one.atom_gradients - other.atom_gradients).max()
    assert gap > 1e-4
    assert one.settings == {"samples": 3, "noise": 0.05, "seed": 1}


def test_noise_is_in_angstrom(stage, monkeypatch):
    """Standard deviation of the positions that the model is shown."""
    seen = []
    normal = np.random.normal

    def watched(mean, sigma, shape):
        seen.append(float(np.max(np.asarray(sigma))))
        return normal(mean, sigma, shape)

    monkeypatch.setattr(np.random, "normal", watched)
    influence(stage, chain(5), BlockTarget(0, 1), samples=2, noise=0.03)
    # The positions come first; nothing else is disturbed.
    assert seen[0] == pytest.approx(0.03, rel=1e-6)
    assert not any(seen[1:])


# === Files and mistakes ===


def test_file(stage, tmp_path):
    found = influence(stage, cluster(), BlockTarget(0, 1))
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
def test_targets_that_do_not_exist(stage, target, message):
    with pytest.raises(ValueError, match=message):
        influence(stage, cluster(), target)


@pytest.mark.parametrize("repeat", [(0, 1, 1), (1, 1), (1.5, 1, 1)])
def test_repeats_that_are_no_supercell(stage, repeat):
    with pytest.raises(ValueError, match="`repeat` is three.*Received"):
        influence(stage, cluster(), BlockTarget(0, 1), repeat)


def test_groups_that_have_no_map(stage):
    for group in (0, 2, 5):
        with pytest.raises(ValueError, match=f"2 groups.*group={group}"):
            kh.explain.activation_map(
                stage, cluster(), BlockTarget(0, 1), group
            )


def test_a_model_without_first_stage(double_precision):
    model = kh.models.TransformerStage(
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
