"""Trainings that begin with the weights of a saved model."""

import dataclasses

import keras
import numpy as np
import pytest
from gaussian_species import gaussian_species
from small_stages import SMALL

import data_tools.species
import keras_hamiltonian as kh
from keras_hamiltonian.models import weight_labels as labels_module
from keras_hamiltonian.prediction import predict_hamiltonian
from keras_hamiltonian.training.preparation import make_cascade
from keras_hamiltonian.training.preparation import make_datasets
from keras_hamiltonian.training.preparation import make_first_stage
from keras_hamiltonian.training.run import train_cascade
from keras_hamiltonian.training.start import Start

SECOND = {
    "channels": 4,
    "hidden": 4,
    "irreps": "4x0e + 2x1o",
    "num_blocks": 1,
    "num_gaussians": 8,
}
# Largest change of a block that is rounding, eV; blocks are up to 40 eV.
ROUNDING = 2e-5


@pytest.fixture(scope="module")
def sets(data_folder):
    names = ("graphene", "bilayer_graphene", "mos2", "bi2te3", "bi2se3")
    return {n: kh.HamiltonianStore(data_folder / f"{n}.h5") for n in names}


@pytest.fixture(scope="module")
def saved(sets, tmp_path_factory):
    """A function that writes a cascade whose weights are all its own."""
    folder = tmp_path_factory.mktemp("models")

    def save(name, **options):
        store = sets[name]
        known = [store[k] for k in range(min(6, len(store)))]
        reaches = kh.physics.estimate_reaches(known)
        stage = kh.models.EquivariantStage(
            store.basis.to_dict(), reaches, store.spin, **SMALL, **options
        )
        initial = stage.takes_initial
        stage.adapt(kh.HamiltonianDataset(known, initial=initial))
        stage.overlap = kh.physics.TwoCentreOverlap.fit(known, reaches)
        if initial:
            stage.energy_shift = kh.physics.EnergyShift.fit(known)
        stage.provenance = kh.models.training_provenance(known)
        second = kh.models.EquivariantTransformerStage.for_stage(
            stage, **SECOND
        )
        random = np.random.default_rng(0)
        for weight in stage.trainable_variables + second.trainable_variables:
            value = keras.ops.convert_to_numpy(weight)
            weight.assign(value + 0.05 * random.normal(size=value.shape))
        path = folder / f"{name}{'-'.join(map(str, options.values()))}.keras"
        kh.models.HamiltonianCascade(stage, second).save(path)
        return path

    return save


def started(path, store, **settings):
    """Both stages and the data, as a training makes them."""
    settings = kh.training.TrainingSettings(start_from=str(path), **settings)
    start = Start(settings)
    names = store.names
    split = kh.data.Split(names[:3], names[3:4], names[4:5])
    training, _ = make_datasets(
        store, split, start.settings, start.basis(store)
    )
    stage = make_first_stage(store, split, start.settings, start)
    stage.adapt(training)
    cascade = make_cascade(stage, start.settings, start)
    features = kh.models.StageFeatures(stage, training)
    cascade.refinement.adapt(features)
    return cascade


def blocks(model, calculation):
    pairs = calculation.hamiltonian.atom_pairs
    return predict_hamiltonian(model, calculation, pairs).entries


def changes(one, other, calculation):
    """Largest change of a block of the first stage and of both, eV."""
    return [
        np.abs(blocks(a, calculation) - blocks(b, calculation)).max()
        for a, b in zip([one.stage, one], [other.stage, other])
    ]


@pytest.mark.parametrize(
    "old, new, options",
    [
        # More orbitals: a table of 19 rows instead of 13.
        ("graphene", "mos2", {"initial": "both", "tracegrad": "both"}),
        # The new element comes first in the table.
        pytest.param("mos2", "graphene", {}, marks=pytest.mark.slow),
        pytest.param("graphene", "graphene", {}, marks=pytest.mark.slow),
        pytest.param(
            "bi2te3", "bi2te3", {"initial": "both"}, marks=pytest.mark.slow
        ),
    ],
)
def test_nothing_changes_before_the_first_step(sets, saved, old, new, options):
    path = saved(old, **options)
    before, after = kh.load_model(path), started(path, sets[new])
    known = sets[old][-1]
    assert max(changes(before, after, known)) < ROUNDING
    # The stages do more than the baseline, which could be equal by itself.
    assert np.abs(blocks(before, known) - blocks(before.stage, known)).max() > (
        1e-3
    )
    assert after.basis.covers(before.basis)
    assert after.basis.covers(sets[new].basis)
    assert after.overlap(sets[new].atoms(4)) is not None
    assert after.overlap(known.atoms) is not None
    if options.get("initial"):
        shifts = [
            m.energy_shift(known.atoms, known.initial_hamiltonian)
            for m in (before, after)
        ]
        assert shifts[0] == pytest.approx(shifts[1], abs=1e-9)


def test_weights_belong_to_elements(sets, saved, monkeypatch):
    """The control: rows copied by their number are those of others."""
    path, known = saved("mos2"), sets["mos2"][-1]

    def by_number(layer, symbols):
        return own_labels(layer, list(range(len(symbols))))

    own_labels = labels_module._labels
    monkeypatch.setattr(labels_module, "_labels", by_number)
    after = started(path, sets["graphene"])
    found = changes(kh.load_model(path), after, known)
    assert min(found) > 100 * ROUNDING


def test_new_elements_get_the_baseline_of_their_own(sets, saved):
    """Two elements without old neighbours: the fit of a model of them."""
    after = started(saved("graphene"), sets["mos2"]).stage
    known = [sets["mos2"][k] for k in range(3)]
    alone = kh.models.EquivariantStage(
        sets["mos2"].basis.to_dict(), after.reaches, **SMALL
    )
    alone.adapt(kh.HamiltonianDataset(known))
    one, two = (s.readout.baseline for s in (alone, after))
    # Pairs of Mo and S among those of C, Mo and S.
    pairs = [4, 5, 7, 8]
    for name in ("means", "scales", "onsite_functions"):
        found = keras.ops.convert_to_numpy(getattr(two, name)["scalar"])
        expected = keras.ops.convert_to_numpy(getattr(one, name)["scalar"])
        assert found[:, pairs] == pytest.approx(expected, abs=1e-6)


def test_new_functions_explain_what_the_old_leave(sets):
    """Bi keeps its own functions; those of Se around it are fitted to the
    rest, so the rest of its onsite blocks shrinks."""
    basis = sets["bi2te3"].basis.union(sets["bi2se3"].basis)
    reaches = dict.fromkeys(basis.symbols, 4.5)
    stage = kh.models.EquivariantStage(
        basis.to_dict(),
        reaches,
        initial="correct",
        spin="noncollinear",
        **SMALL,
    )
    layer = stage.readout.baseline

    def data(name):
        known = [sets[name][k] for k in range(3)]
        return kh.HamiltonianDataset(known, basis=basis, initial=True)

    stage.adapt(data("bi2te3"))
    old = of_bismuth(layer)
    layer.keep([True, False, True])
    errors = [onsite_error(stage, data("bi2se3"))]
    stage.adapt(data("bi2se3"))
    errors.append(onsite_error(stage, data("bi2se3")))
    for a, b in zip(old, of_bismuth(layer)):
        assert np.array_equal(a, b)
    assert errors[1] < 0.5 * errors[0]


def of_bismuth(layer):
    """Constants, scales and functions of Bi around Bi, of onsite blocks."""
    parts = layer.onsite_means, layer.onsite_scales
    found = [keras.ops.convert_to_numpy(w["scalar"])[0] for w in parts]
    functions = keras.ops.convert_to_numpy(layer.onsite_functions["scalar"])
    return [*found, functions[:, 0]]


def onsite_error(stage, dataset):
    """Of the baseline, in the onsite blocks of Bi, eV."""
    error = 0.0
    for position in range(len(dataset)):
        inputs, targets, weights = dataset[position]
        found = baseline_blocks(stage, inputs)
        left = targets["onsite"] - inputs["initial_onsite"] - found
        is_bi = inputs["species"] == 0
        weight = weights["onsite"][is_bi]
        error += (np.abs(left[is_bi]) * weight).sum() / weight.sum()
    return error


def baseline_blocks(stage, inputs):
    """Onsite blocks of a stage whose readout of features is zero."""
    readout = stage.readout
    for weight in readout.onsite.weights:
        weight.assign(keras.ops.zeros_like(weight))
    out = stage.predict_on_batch(inputs)["onsite"]
    return np.asarray(out) - inputs["initial_onsite"]


def test_what_new_data_contradict_is_fitted_anew(sets):
    """Neighbours in the other layer are at distances where a monolayer has no
    data: functions of the monolayer are off there, by eV in onsite blocks."""
    store = sets["graphene"]
    stage = kh.models.EquivariantStage(
        store.basis.to_dict(), {"C": 3.175}, initial="correct", **SMALL
    )
    layer = stage.readout.baseline

    def data(name, numbers):
        known = [sets[name][k] for k in numbers]
        return kh.HamiltonianDataset(known, initial=True)

    def values():
        weights = layer.means, layer.onsite_means
        return [keras.ops.convert_to_numpy(w["scalar"]) for w in weights]

    stage.adapt(data("graphene", range(6)))
    layer.keep([True])
    old = values()
    stage.adapt(data("graphene", range(10, 13)))
    same = values()
    stage.adapt(data("bilayer_graphene", range(3)))
    other = values()
    assert all(np.array_equal(a, b) for a, b in zip(old, same))
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(old, other))


@pytest.mark.parametrize(
    "freeze, steps",
    [(["first/backbone"], 4), (["first", "second/readout"], 2)],
)
def test_frozen_layers_stay(sets, saved, tmp_path, freeze, steps):
    """All others change; what is fitted to the data is not trained."""
    store = sets["graphene"]
    split = kh.data.Split(store.names[:2], (), store.names[2:3])
    path = saved("graphene")
    settings = kh.training.TrainingSettings(
        start_from=str(path), freeze=freeze, steps=steps, warmup_steps=0
    )
    trained = train_cascade(store, split, settings, tmp_path, "")
    parts = zip(
        ("first", "second"),
        trained.model.stages(),
        kh.load_model(path).stages(),
    )
    kept = changed = 0
    for part, stage, old in parts:
        for weight, before in zip(stage.weights, old.weights):
            same = np.array_equal(*map(_numbers, (weight, before)))
            if any(f"{part}/{weight.path}".startswith(x) for x in freeze):
                assert same, weight.path
                kept += 1
            else:
                changed += not same
    assert kept > 5 and changed > 5
    known = trained.model.provenance["started_from"]
    assert known["structures"] == list(store.names[:6])
    assert trained.steps == {"first": 3, "second": 1} or freeze[0] == "first"
    assert freeze[0] != "first" or trained.steps == {"first": 0, "second": 2}


def _numbers(weight):
    return keras.ops.convert_to_numpy(weight)


@pytest.mark.parametrize(
    "freeze, words",
    [
        ("first/backbone/grup_1", "first stage has no layer .*backbone/group_"),
        ("backbone", "the stage and the path.*Received: 'backbone'"),
        ("second", "such as first/backbone, or first alone"),
    ],
)
def test_layers_that_are_not_there(saved, freeze, words):
    settings = kh.training.TrainingSettings(
        start_from=str(saved("graphene")), freeze=[freeze]
    )
    with pytest.raises(ValueError, match=words):
        Start(settings)


def test_freezing_what_is_not_trained(sets, saved, tmp_path):
    settings = kh.training.TrainingSettings
    with pytest.raises(ValueError, match="keeps weights of a trained model"):
        kh.train(
            sets["graphene"],
            settings=settings(freeze=["first"]),
            folder=tmp_path / "run",
        )
    with pytest.raises(ValueError, match="there is nothing to train"):
        settings(freeze=["first"], second_stage="none", start_from="graphene")
    alone = tmp_path / "alone.keras"
    kh.load_model(saved("graphene")).stage.save(alone)
    options = {"freeze": ["second/readout"], "start_from": str(alone)}
    with pytest.raises(ValueError, match="no second stage is taken from"):
        Start(settings(**options))


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"initial": "correct"}, "`initial` is that of the model"),
        ({"first_options": {"num_groups": 3}}, "`first_options` is that"),
        ({"freeze": ["first/backbone/grup_1"]}, "first stage has no layer"),
        ({"start_from": "graphene"}, "`species` are there for H⁰, and the mo"),
        ({"data": "bismuthene"}, "made for spin='none', the data have spin='n"),
        ({"reach": 7.0}, "Orbitals of C reach 3.704 Å in the data and 3.175"),
    ],
)
def test_what_is_wrong_is_said_before_h0_is_computed(
    saved, data_folder, tmp_path, monkeypatch, changed, words
):
    """No H⁰ of hours is lost on a name."""
    reach = changed.pop("reach", 6.0)
    store = kh.HamiltonianStore(
        data_folder / f"{changed.pop('data', 'graphene')}.h5"
    )
    spin = {"spin": store.spin}
    monkeypatch.setattr(
        data_tools.species,
        "read_zeroth_step",
        lambda *_, **__: kh.ZerothStep(carbon(reach), **spin),
    )
    computed = []
    monkeypatch.setattr(kh.ZerothStep, "__call__", computed.append)
    settings = {"start_from": str(saved("graphene", initial="both"))}
    settings = kh.training.TrainingSettings(
        **{**settings, "species": "folder", **changed}
    )
    names = store.names
    split = kh.data.Split(names[:3], names[3:4], names[4:5])
    with pytest.raises(ValueError, match=words):
        kh.train(store, split, settings, tmp_path / "run")
    assert not computed
    assert not list(tmp_path.rglob("*.h5"))


def carbon(reach):
    """Carbon's shells, of Gaussians, that end at a reach in bohr."""
    (known,) = gaussian_species("O").values()
    s, p, d = known.orbitals
    return {
        "C": dataclasses.replace(
            known, symbol="C", reach=reach, orbitals=(s, s, p, p, d)
        )
    }


def test_a_first_stage_alone(sets, saved, tmp_path):
    """A file without a second stage gets a new one; one may leave it out."""
    path = saved("graphene")
    alone = tmp_path / "alone.keras"
    kh.load_model(path).stage.save(alone)
    after = started(alone, sets["graphene"], second_options=SECOND)
    known = sets["graphene"][-1]
    before = kh.load_model(path).stage
    change = blocks(after, known) - blocks(before, known)
    # A new second stage adds its own baseline of what is left.
    assert np.abs(change).max() > ROUNDING
    settings = kh.training.TrainingSettings(
        start_from=str(path), second_stage="none"
    )
    assert not Start(settings).has_second_stage


def test_settings_of_the_file(saved):
    path = saved("graphene", initial="both")

    def settings(**changed):
        changed = {"start_from": str(path), **changed}
        return Start(kh.training.TrainingSettings(**changed)).settings

    found = settings()
    assert (found.initial, found.first_stage) == ("both", "equivariant")
    assert found.first_options["num_groups"] == SMALL["num_groups"]
    assert found.second_options["hidden"] == SECOND["hidden"]
    assert found.learning_rate("first") < 0.01
    assert settings(first_learning_rate=0.01).learning_rate("first") == 0.01
    with pytest.raises(ValueError, match="`initial` is that of the model"):
        settings(initial="correct")
    with pytest.raises(ValueError, match="`first_options` is that"):
        settings(first_options={"num_groups": 3})


def test_what_does_not_fit(sets, saved, data_folder, tmp_path):
    path = saved("graphene")
    with pytest.raises(ValueError, match="spin='none'.*'noncollinear'"):
        started(path, sets["bi2te3"])
    with pytest.raises(ValueError, match="no model file"):
        started(tmp_path / "none.keras", sets["graphene"])
    calculation = sets["graphene"][0]
    other = kh.OrbitalBasis({"C": [0, 0, 1, 2, 1]})
    c = dataclasses.replace(calculation, basis=other)
    store = kh.HamiltonianStore.write(tmp_path / "other.h5", [c])
    with pytest.raises(ValueError, match="C has the orbitals .* in the data"):
        started(path, store)
    with pytest.raises(ValueError, match="Give `stage`.*not both"):
        kh.train(sets["graphene"], stage=path, start_from=path)
    start = Start(kh.training.TrainingSettings(start_from=str(path)))
    with pytest.raises(ValueError, match="Orbitals of C reach 9.000 Å"):
        start.grown(sets["graphene"], {"C": 9.0})
    with pytest.raises(ValueError, match="has 3.175 Å. Received: 3.000 Å"):
        started(path, sets["graphene"], reaches={"C": 3.0})
    basis = {"C": "2s 2p 1d", "Fe": "2s 2p 1d 1f"}
    with pytest.raises(ValueError, match="which the features"):
        kh.models.EquivariantStage(
            basis,
            {"C": 3.0, "Fe": 3.0},
            **{**SMALL, **start.options(0, basis, {"C": 3.0, "Fe": 3.0})},
        )


def test_orbitals_that_reach_farther(sets, saved):
    """Gaussians of distance stay where they are."""
    path = saved("graphene")
    start = Start(kh.training.TrainingSettings(start_from=str(path)))
    known = start.model.reaches
    basis = {"C": "2s 2p 1d", "Mo": "3s 2p 2d"}
    reaches = {**known, "Mo": 2 * known["C"]}
    options = start.options(0, basis, reaches)
    assert options["radial"]["reach"] == pytest.approx(2 * known["C"])
    arguments = {**start.settings.first_options, **options}
    stage = kh.models.EquivariantStage(basis, reaches, **arguments)
    start.copy(stage)
    atoms = sets["graphene"].atoms(-1)
    found = [
        predict_hamiltonian(
            model,
            sets["graphene"][-1],
            sets["graphene"][-1].hamiltonian.atom_pairs,
        ).entries
        for model in (start.model.stage, stage)
    ]
    assert np.abs(found[0] - found[1]).max() < ROUNDING
    del arguments["radial"]
    with pytest.raises(ValueError, match="reach farther"):
        start.copy(kh.models.EquivariantStage(basis, reaches, **arguments))
    assert len(atoms) == 18
