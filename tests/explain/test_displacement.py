"""The largest change of a block: differences, translations, other paths."""

import ase
import numpy as np
import pytest
from explained_models import chain
from explained_models import cluster
from explained_models import on_tensorflow
from explained_models import small_cascade
from explained_models import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain import displacement
from keras_hamiltonian.explain.targets import BlockTarget
from keras_hamiltonian.explain.targets import KindTarget

pytestmark = [on_tensorflow, pytest.mark.usefixtures("double_precision")]


@pytest.fixture(scope="module")
def found(two_stages):
    return kh.explain.largest_change(two_stages, cluster(), BlockTarget(0, 1))


def change_along(model, vectors, step=1e-4):
    """Of the block (0, 1), eV/Å, from `kh.predict`."""
    blocks = []
    for sign in (1, -1):
        moved = cluster()
        moved.positions += sign * step * vectors
        blocks.append(kh.predict(model, moved).hamiltonian)
    one, other = (b.find((0, 0, 0, 0, 1)) for b in blocks)
    return (one - other) / (2 * step)


def test_finite_differences(two_stages, found):
    change = change_along(two_stages, found.vectors).ravel()
    np.testing.assert_allclose(change, found.change, atol=1e-5)
    largest = found.singular_values[0]
    assert np.linalg.norm(change) == pytest.approx(largest, rel=1e-6)


def test_no_other_displacement_changes_more(two_stages, found):
    assert np.linalg.norm(found.vectors) == pytest.approx(1)
    assert found.shares.sum() == pytest.approx(1)
    random = np.random.default_rng(0)
    largest = found.singular_values[0]
    for _ in range(2):
        vectors = random.normal(size=found.vectors.shape)
        vectors /= np.linalg.norm(vectors)
        change = np.linalg.norm(change_along(two_stages, vectors))
        assert 0 < change < 0.99 * largest
    # Away from it by a little, a little less.
    near = found.vectors + 0.1 * vectors
    near /= np.linalg.norm(near)
    assert np.linalg.norm(change_along(two_stages, near)) < largest


def test_the_smallest_displacement(two_stages, found):
    vectors = found.smallest(1e-3)
    moved = cluster()
    moved.positions += vectors
    one, other = (
        kh.predict(two_stages, atoms).hamiltonian.find((0, 0, 0, 0, 1))
        for atoms in (moved, cluster())
    )
    assert np.linalg.norm(one - other) == pytest.approx(1e-3, rel=1e-2)


def test_uniform_displacements_change_nothing(two_stages, found, monkeypatch):
    jacobian = kh.explain.block_jacobian(
        two_stages, cluster(), BlockTarget(0, 1)
    )
    assert jacobian.shape == (16, 5, 3)
    assert np.abs(jacobian.sum(axis=1)).max() < 1e-10
    assert np.abs(jacobian).max() > 1e-2
    assert np.abs(found.vectors.sum(axis=0)).max() < 1e-8
    # Two batches and a part of a third give the same as one.
    monkeypatch.setattr(displacement, "ATOMS_AT_ONCE", 35)
    other = kh.explain.block_jacobian(two_stages, cluster(), BlockTarget(0, 1))
    np.testing.assert_allclose(other, jacobian, atol=1e-12)


def test_rotations_change_an_invariant_by_nothing(two_stages):
    """The norm's gradient does no work in a rotate of the crystal."""
    influence = kh.explain.saliency(two_stages, cluster(), BlockTarget(0, 1))
    torque = np.cross(cluster().positions, influence.atom_gradients)
    assert np.abs(torque.sum(axis=0)).max() < 1e-8
    assert np.abs(torque).max() > 1e-3


def test_far_atoms_stay():
    model = small_stage(num_groups=1, projectors="")
    found = kh.explain.largest_change(model, chain(7), BlockTarget(0, 1))
    # One group: atoms bonded to the pair.
    assert (found.shares[3:] == 0).all()
    assert (found.shares[:3] > 0).all()


def test_nothing_to_change():
    """What is left of a change by rounding is no displacement."""
    model = small_cascade(scale=0.0)
    target = BlockTarget(0, 1, correction=True)
    found = kh.explain.largest_change(model, cluster(), target)
    assert found.is_zero and not found.vectors.any()
    with pytest.raises(ValueError, match="No displacement"):
        found.smallest(1.0)


def test_one_atom_per_cell(one_stage):
    """It moves with its images: every displacement is uniform."""
    atoms = ase.Atoms("C", cell=[10, 10, 1.4], pbc=[False, False, True])
    target = BlockTarget(0, 0)
    found = kh.explain.largest_change(one_stage, atoms, target)
    assert found.is_zero and found.shares.sum() == 0
    assert found.rounding > 0


def test_too_many_numbers(two_stages, monkeypatch):
    """Each takes a backward pass; a kind of hoppings has very many."""
    kind = KindTarget("C", "N")
    monkeypatch.setattr(displacement, "MOST_ENTRIES", 16)
    whole = kh.explain.block_jacobian(two_stages, cluster(), BlockTarget(0, 1))
    assert len(whole) == 16
    for function in (kh.explain.block_jacobian, kh.explain.largest_change):
        with pytest.raises(ValueError, match="C-N has .*16 at most.*`rows`"):
            function(two_stages, cluster(), kind)
