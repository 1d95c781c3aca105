"""Slabs of atoms give what the whole crystal gives, in bounded memory."""

import dataclasses

import ase
import keras
import numpy as np
import pytest
from gaussian_species import gaussian_species
from small_stages import ATTENTION
from small_stages import SMALL

import keras_hamiltonian as kh
from keras_hamiltonian import slabs
from keras_hamiltonian.group_by_group import divided
from keras_hamiltonian.layers import InteractionGroup
from keras_hamiltonian.memory import bytes_of
from keras_hamiltonian.models.receptive_field import receptive_steps
from keras_hamiltonian.models.stage_features import StageFeatures
from keras_hamiltonian.physics import EnergyShift
from keras_hamiltonian.physics import TwoCentreOverlap

# Each backend but torch compiles every shape anew.
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every shape is compiled"
)
SPINS = ("none", "noncollinear")


def chain(number=20):
    """Atoms along a line that hear of their next neighbours alone."""
    random = np.random.default_rng(0)
    places = random.uniform(-0.1, 0.1, (number, 3))
    places[:, 0] += 3.5 * np.arange(number)
    return ase.Atoms(
        "HO" * (number // 2),
        places,
        cell=[3.5 * number, 5, 5],
        pbc=(True, False, False),
    )


@pytest.fixture(scope="module", params=SPINS)
def known(request):
    """A `Calculation` with H, S and H⁰, and the step that computed these."""
    step = kh.ZerothStep(
        gaussian_species(), spin=request.param, grid_cutoff=30.0
    )
    atoms = chain()
    initial, overlap = step(atoms)
    hamiltonian = initial.with_entries(0.9 * initial.entries)
    return step, kh.Calculation(
        atoms,
        step.basis,
        spin=request.param,
        hamiltonian=hamiltonian,
        overlap=overlap,
        initial_hamiltonian=initial,
    )


def noisy(stage, dataset):
    """A stage whose messages all count."""
    stage.adapt(dataset)
    random = np.random.default_rng(0)
    for weight in stage.trainable_weights:
        value = keras.ops.convert_to_numpy(weight)
        weight.assign(value + 0.3 * random.normal(size=weight.shape))
    return stage


def first_stage(known, **options):
    calculation = known[1]
    reaches = dict.fromkeys(calculation.basis.symbols, 3.1750632)
    stage = kh.models.EquivariantStage(
        calculation.basis.to_dict(),
        reaches,
        spin=calculation.spin,
        dtype="float64",
        **{**SMALL, **options},
    )
    noisy(stage, kh.HamiltonianDataset([calculation], initial=True))
    stage.overlap = TwoCentreOverlap.fit([calculation], reaches)
    return stage


def cascade(known, second):
    stage = first_stage(known)
    dataset = kh.HamiltonianDataset([known[1]])
    refinement = second.for_stage(stage, dtype="float64", num_blocks=1)
    noisy(refinement, StageFeatures(stage, dataset))
    return kh.models.HamiltonianCascade(stage, refinement)


STAGES = {
    "first stage": first_stage,
    "attention": lambda known: first_stage(known, interaction=ATTENTION),
    "no projectors": lambda known: first_stage(known, projectors=""),
    "not Hermitian": lambda known: first_stage(known, hermitian=False),
    "cascade": lambda known: cascade(
        known, kh.models.EquivariantTransformerStage
    ),
    "Transformer": lambda known: cascade(known, kh.models.TransformerStage),
}


def small_memory(monkeypatch):
    """45 MB are then a part of the chain."""
    monkeypatch.setattr(slabs, "resident_bytes", lambda: 0.0)
    monkeypatch.setattr(slabs, "edge_bytes", lambda *_, **__: 1.1e6)
    monkeypatch.setattr(slabs, "SPARE", 0.0)


def in_slabs(model, atoms, monkeypatch, steps=None, **options):
    """A prediction in several slabs, by default as wide as they must be."""
    if steps is not None:
        monkeypatch.setattr(slabs, "receptive_steps", lambda *_, **__: steps)
    small_memory(monkeypatch)
    calls = []
    found = kh.predict(
        model, atoms, max_memory="45MB", progress=calls.append, **options
    )
    assert len(calls) > 1 and calls[-1] == 1
    return found


@pytest.mark.parametrize("kind", STAGES)
def test_slabs_equal_the_whole(known, kind, monkeypatch):
    model, atoms = STAGES[kind](known), known[1].atoms
    whole = kh.predict(model, atoms)
    found = in_slabs(model, atoms, monkeypatch)
    assert found.hamiltonian.atom_pairs.tolist() == (
        whole.hamiltonian.atom_pairs.tolist()
    )
    error = np.abs(found.hamiltonian.entries - whole.hamiltonian.entries).max()
    size = np.abs(whole.hamiltonian.entries).max()
    assert error < 1e-13 * size
    # Group by group but for `AttentionGroup`, an `interaction` of another kind.
    assert divided(model) == (kind != "attention")
    np.testing.assert_array_equal(found.overlap.entries, whole.overlap.entries)
    # A control: one neighbour less is not enough. Edges of `AttentionGroup`
    # hear of the atoms before it, so it would do with one less.
    steps = receptive_steps(model, from_features=divided(model))
    steps -= 2 if kind == "attention" else 1
    found = in_slabs(model, atoms, monkeypatch, steps=steps)
    error = np.abs(found.hamiltonian.entries - whole.hamiltonian.entries).max()
    assert error > 1e-10 * size


def test_each_atom_is_computed_once(known, monkeypatch):
    model, atoms, rows = first_stage(known), known[1].atoms, []
    update = InteractionGroup.new_edges

    def counted(self, state, geometry, training=None):
        rows.append(len(geometry["species"]))
        return update(self, state, geometry, training)

    monkeypatch.setattr(InteractionGroup, "new_edges", counted)
    in_slabs(model, atoms, monkeypatch)
    assert sum(rows) == SMALL["num_groups"] * len(atoms)
    # A control: slabs that are computed from the atoms on overlap.
    monkeypatch.setattr(slabs, "divided", lambda model: False)
    rows.clear()
    in_slabs(model, atoms, monkeypatch)
    assert sum(rows) > 1.5 * SMALL["num_groups"] * len(atoms)


@pytest.mark.parametrize("mode", ["correct", "both"])
@pytest.mark.parametrize("is_given", [False, True], ids=["own", "given"])
def test_h0_and_its_energy_zero(known, mode, is_given, monkeypatch):
    step, calculation = known
    model = first_stage(known, initial=mode)
    model.energy_shift = EnergyShift.fit([calculation])
    atoms = calculation.atoms
    if is_given:
        atoms = dataclasses.replace(calculation, hamiltonian=None)
    else:
        model.zeroth_step = step
    whole = kh.predict(model, atoms)
    found = in_slabs(model, atoms, monkeypatch)
    difference = found.hamiltonian.entries - whole.hamiltonian.entries
    size = np.abs(whole.hamiltonian.entries).max()
    # H⁰ of a slab is a sum in another order.
    assert np.abs(difference).max() < 1e-11 * size
    found = in_slabs(model, atoms, monkeypatch, steps=0)
    difference = found.hamiltonian.entries - whole.hamiltonian.entries
    assert np.abs(difference).max() > 1e-10 * size


def test_streamed_container(known, monkeypatch, tmp_path):
    step, calculation = known
    model = first_stage(known, initial="both")
    model.zeroth_step = step
    model.energy_shift = EnergyShift.fit([calculation])
    whole = kh.predict(model, calculation.atoms)
    small_memory(monkeypatch)
    options = {"max_memory": "45MB", "num_electrons": {"O": 6, "H": 1}}
    path = tmp_path / "new.h5"
    assert not kh.stream_prediction(
        path, model, calculation.atoms, name="chain", **options
    )
    found = kh.HamiltonianStore(path)["chain"]
    assert found.num_electrons == 70
    assert found.hamiltonian.hermitian_error() == 0
    size = np.abs(whole.hamiltonian.entries).max()
    for ours, theirs in (
        (found.hamiltonian, whole.hamiltonian),
        (found.overlap, whole.overlap),
    ):
        assert ours.atom_pairs.tolist() == theirs.atom_pairs.tolist()
        assert np.abs(ours.entries - theirs.entries).max() < 1e-11 * size


def test_what_is_refused(known):
    model, atoms = first_stage(known), known[1].atoms
    for limit in ("a lot", "-1GB", 0):
        with pytest.raises(ValueError, match="4GB, 500MB"):
            kh.predict(model, atoms, max_memory=limit)
    with pytest.raises(
        ValueError, match=r"^1 MB .* Enough may be .* [MG]B; a con"
    ):
        kh.predict(model, atoms, max_memory="1MB")
    with pytest.raises(ValueError, match="no validation|does not know"):
        kh.predict(model, atoms, uncertainty=True, max_memory="4GB")
    model.backbone = keras.layers.Identity(name="mine")
    with pytest.raises(ValueError, match="`num_messages`"):
        kh.predict(model, atoms, max_memory="4GB")


def test_means_over_the_structure_are_not_local(known):
    model = first_stage(known, norm="graph")
    with pytest.raises(ValueError, match='norm="graph"'):
        kh.predict(model, known[1].atoms, max_memory="4GB")


@pytest.mark.parametrize(
    "text, size",
    [("4GB", 4e9), ("1.5 GiB", 1.5 * 2**30), ("300mb", 3e8), (1e6, 1e6)],
)
def test_sizes(text, size):
    assert bytes_of(text) == size


def test_the_time_of_many_pieces_is_estimated(known, monkeypatch):
    """Atoms that nothing joins do not make a part that grows."""
    monkeypatch.setattr(slabs, "LARGE", 4)
    monkeypatch.setattr(slabs, "SAMPLE", 3)
    model, estimates = first_stage(known), []

    class Progress:
        begin = staticmethod(estimates.append)

        def __call__(self, fraction):
            pass

    atoms = chain(6)
    atoms.positions[:, 0] *= 6
    atoms.cell[0] *= 6
    kh.predict(model, atoms, max_memory="9GB", progress=Progress())
    assert estimates[0].seconds > 0
