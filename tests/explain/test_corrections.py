"""Help and harm by the second stage, where they were planted."""

import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.explain.corrections import KINDS
from keras_hamiltonian.explain.corrections import Corrections
from keras_hamiltonian.explain.corrections import stage_corrections
from keras_hamiltonian.metrics.labels import ElementLabels


@pytest.fixture
def mos2(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_mos2.h5")[0]


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_graphene.h5")


@pytest.fixture(scope="module")
def cascade(store):
    stage = small_stage(store)
    refinement = kh.models.TransformerStage.for_stage(
        stage, width=16, num_heads=2, num_blocks=1
    )
    return kh.models.HamiltonianCascade(stage, refinement)


@pytest.fixture
def trained(cascade):
    """The cascade with weights as after a training."""
    random = np.random.default_rng(0)
    before = cascade.refinement.get_weights()
    for weight in cascade.refinement.trainable_weights:
        weight.assign(0.1 * random.normal(size=weight.shape))
    yield cascade
    cascade.refinement.set_weights(before)


def compared(calculation, baseline, refined):
    """`Corrections` of errors added to the elements of the Hamiltonian."""
    matrix = calculation.hamiltonian
    found = [
        kh.BlockMatrix(matrix.atom_pairs, matrix.shapes, matrix.entries + error)
        for error in (baseline, refined)
    ]
    comparison = kh.metrics.StageComparison(calculation.basis)
    comparison.update(*found, calculation)
    return Corrections(comparison.result())


def labels_of(calculation):
    matrix = calculation.hamiltonian
    return ElementLabels(matrix, calculation.basis, calculation)


def test_what_is_planted_on_one_element_pair_shows_up_there_alone(mos2):
    labels = labels_of(mos2)
    ends = np.sort(mos2.atoms.numbers[labels.atom_pairs[:, 3:]], axis=1)
    elements = ends[labels.pair]
    hurt = (elements == [16, 42]).all(axis=1)
    helped = (elements == [42, 42]).all(axis=1)
    found = compared(
        mos2, 0.01, 0.01 + np.where(hurt, 0.003, 0) - np.where(helped, 0.002, 0)
    )
    groups = found.groups("element pair")
    assert groups["S-S"]["correction"] == groups["S-S"]["gain"] == 0
    assert groups["S-Mo"]["gain"] == pytest.approx(-0.003)
    assert groups["S-Mo"]["correction"] == pytest.approx(0.003)
    assert groups["Mo-Mo"]["gain"] == pytest.approx(0.002)
    ranked = [name for name, _ in found.ranked("element pair")]
    assert ranked == ["S-Mo", "S-S", "Mo-Mo"]
    # No edge of 2 to 2.5 Å is between equal elements.
    near = found.groups("distance")["2 to 2.5 Å"]
    assert near["gain"] == pytest.approx(-0.003)
    # Sulphur on one side: hoppings alone.
    assert found.groups("block type")["onsite p-p"]["gain"] > 0
    assert all(b["baseline_mae"] < 0.0101 for b in found.result["harmed"])
    assert "S-Mo" in str(found) and "harmed most" in str(found)


def test_block_types_are_named_by_kind_and_degrees(store):
    """Carbon has two s, two p and one d: 4 + 4 blocks of s with p."""
    calculation = store[0]
    labels = labels_of(calculation)
    size = len(store.basis.table_shells)
    row, column = np.divmod(labels.shells, size)
    degrees = np.array(store.basis.table_shells)
    is_sp = degrees[row] + degrees[column] == 1
    chosen = labels.is_onsite[labels.pair] & is_sp
    found = compared(calculation, 0.01, np.where(chosen, 0.002, 0.01))
    groups = found.groups("block type")
    letters = ("s-s", "s-p", "s-d", "p-p", "p-d", "d-d")
    assert set(groups) == {
        f"{kind} {pair}" for kind in ("onsite", "hopping") for pair in letters
    }
    for name, group in groups.items():
        gain = 0.008 if name == "onsite s-p" else 0
        assert group["gain"] == pytest.approx(gain, abs=1e-12)
    counts = [groups[f"onsite {pair}"]["count"] for pair in letters]
    assert counts == [2 * n for n in (4, 8, 4, 4, 4, 1)]


def test_groups_add_up_to_the_whole(mos2):
    random = np.random.default_rng(0)
    size = len(mos2.hamiltonian.entries)
    found = compared(mos2, *random.normal(size=(2, size)))
    whole = found.result["all"]
    for kind in KINDS:
        groups = list(found.groups(kind).values())
        if kind == "distance":
            groups.append(found.result["onsite"])
        count = sum(g["count"] for g in groups)
        assert count == whole["count"]
        for key in ("correction", "baseline_mae", "refined_mae", "improved"):
            total = sum(g["count"] * g[key] for g in groups)
            assert total / count == pytest.approx(whole[key])


def test_an_untrained_second_stage_changes_nothing(cascade, store):
    found = stage_corrections(cascade, [store[0]])
    for kind in KINDS:
        for group in found.groups(kind).values():
            assert group["correction"] == group["gain"] == 0
            assert group["baseline_mae"] > 0
    assert found.result["harmed"] == []


def test_without_hamiltonians_the_correction_is_the_same(trained, store):
    known = stage_corrections(trained, [store[0]])
    bare = kh.Calculation(
        store[0].atoms, store.basis, spin=store.spin, name=store[0].name
    )
    unknown = stage_corrections(trained, [bare])
    assert known.is_compared and not unknown.is_compared
    for kind in ("block type", "structure"):
        for name, group in known.groups(kind).items():
            other = unknown.groups(kind)[name]
            assert other["gain"] is other["improved"] is None
            assert other["count"] == group["count"]
            # Differences of blocks of some eV in float32.
            assert other["correction"] == pytest.approx(
                group["correction"], rel=1e-5, abs=1e-6
            )
    ranked = [g["correction"] for _, g in unknown.ranked("block type")]
    assert ranked == sorted(ranked, reverse=True) and ranked[-1] > 0
    assert "before" in str(known) and "before" not in str(unknown)
    with pytest.raises(ValueError, match="compared separately"):
        stage_corrections(trained, [store[0], bare])
    atoms = stage_corrections(trained, [store[0].atoms])
    assert atoms.result["all"] == unknown.result["all"]


def test_what_cannot_be_told(cascade, store):
    with pytest.raises(ValueError, match="EquivariantStage.*one stage"):
        stage_corrections(cascade.stage, [store[0]])
    with pytest.raises(ValueError, match="No structure"):
        stage_corrections(cascade, [])
    found = compared(store[0], 0.01, 0.02)
    with pytest.raises(ValueError, match="block type.*'shell'"):
        found.groups("shell")
