"""Influence knows its field, and rotates with the crystal."""

import ase
import numpy as np
import pytest
from explained_models import chain
from explained_models import cluster
from explained_models import on_tensorflow
from explained_models import ring
from explained_models import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.targets import BlockTarget
from keras_hamiltonian.explain.targets import repeats_for
from keras_hamiltonian.irreps.rotation import random_rotations
from keras_hamiltonian.structures.neighbors import pairs_within

pytestmark = [on_tensorflow, pytest.mark.usefixtures("double_precision")]


def influence(*arguments, **options):
    return kh.explain.saliency(*arguments, **options)


def hops_from(atoms, reaches, start):
    """Fewest edges from the atoms `start` to each atom."""
    pairs = pairs_within(atoms, reaches)[:, 3:]
    hops = np.full(len(atoms), np.inf)
    hops[list(start)] = 0
    for _ in atoms:
        np.minimum.at(hops, pairs[:, 1], hops[pairs[:, 0]] + 1)
    return hops


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
    # Each group hears one edge farther.
    is_inside = hops <= num_groups
    found = influence(model, atoms, target)
    assert (~is_inside).sum() > 2
    assert (found.atom_influence[~is_inside] == 0).all()
    assert (found.atom_influence[is_inside] > 0).all()
    assert (found.elements[~is_inside] == 0).all()
    leads_out = ~is_inside[found.edges[:, 3:]].all(axis=1)
    assert (found.edge_influence[leads_out] == 0).all()
    assert (found.edge_influence[~leads_out] > 0).all()


def test_graph_norm_hears_every_atom():
    """The control: statistics of the whole structure have no field."""
    model = small_stage(num_groups=1, projectors="", norm="graph")
    found = influence(model, chain(9), BlockTarget(1, 2))
    assert (found.atom_influence > 0).all()
    assert (found.elements != 0).all()


def test_features_outside_have_no_weight(two_stages):
    atoms = chain(12)
    weights = kh.explain.activation_map(two_stages, atoms, BlockTarget(1, 2), 1)
    hops = hops_from(atoms, two_stages.reaches, {1, 2})
    assert (weights[hops > 4] == 0).all()
    assert (weights[hops <= 1] != 0).all()


def test_images_add_up(one_stage):
    """In a small cell an atom acts through its images in the large one."""
    target, repeat = BlockTarget(0, 1, (-1, 0, 0)), (7, 1, 1)
    small = influence(one_stage, ring(), target)
    large = influence(one_stage, ring(), target, repeat)
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


def test_a_rotated_crystal_has_the_rotated_map(one_stage, two_stages):
    rotation = random_rotations(1, seed=3)[0]
    atoms, rotated = cluster(), cluster()
    rotated.positions = atoms.positions @ rotation.T
    for model, target in (
        (two_stages, BlockTarget(0, 1)),
        (one_stage, BlockTarget(0, 2, rows="p1")),
    ):
        one, other = (influence(model, a, target) for a in (atoms, rotated))
        for name in ("atom_gradients", "edge_gradients"):
            np.testing.assert_allclose(
                getattr(one, name) @ rotation.T,
                getattr(other, name),
                atol=1e-8,
            )
        for name in ("elements", "degrees", "edge_orders"):
            np.testing.assert_allclose(
                getattr(one, name), getattr(other, name), atol=1e-8
            )
    one, other = (
        kh.explain.activation_map(two_stages, a, BlockTarget(0, 1))
        for a in (atoms, rotated)
    )
    np.testing.assert_allclose(one, other, atol=1e-8)
    # A single orbital does not rotate into itself.
    target = BlockTarget(0, 1, rows=1)
    one, other = (influence(one_stage, a, target) for a in (atoms, rotated))
    gap = np.abs(one.atom_influence - other.atom_influence).max()
    assert gap > 1e-3


def test_symmetric_atoms_have_equal_influence(two_stages):
    dimer = ase.Atoms("CC", [[0, 0, 0], [0.9, 0.8, 0.4]])
    found = influence(two_stages, dimer, BlockTarget(0, 1))
    for values in (found.atom_influence, found.elements):
        assert values[0] == pytest.approx(values[1], rel=1e-8)
        assert abs(values[0]) > 1e-4
    # The block of one of them breaks the symmetry.
    found = influence(two_stages, dimer, BlockTarget(0, 0))
    assert abs(found.elements[0] - found.elements[1]) > 1e-4
    # So does another element.
    dimer.symbols = "CN"
    found = influence(two_stages, dimer, BlockTarget(0, 1))
    assert abs(found.elements[0] - found.elements[1]) > 1e-4


def test_mirrored_ends_of_a_chain(one_stage):
    atoms = ase.Atoms(
        "C4", [[0, 0, 0], [1.4, 0.3, 0], [2.8, 0, 0], [4.2, 0.3, 0]]
    )
    # The rotation by half a rotate about the middle exchanges the ends.
    found = influence(one_stage, atoms, BlockTarget(1, 2)).atom_influence
    np.testing.assert_allclose(found, found[::-1], rtol=1e-8)
    found = influence(one_stage, atoms, BlockTarget(0, 1)).atom_influence
    assert abs(found[0] - found[3]) > 1e-3


def test_scalars_alone_leave_degree_zero_alone():
    model = small_stage(irreps="6x0e", projectors="1s")
    found = influence(model, cluster(), BlockTarget(0, 1))
    assert found.degrees[0, 0] > 1e-4
    # The last group has what blocks need beyond the hidden irreps.
    assert (found.degrees[0, 1:] == 0).all()
    assert found.edge_orders[1, 1:].max() > 0
