"""A model keeps its species: H⁰ and S of a prediction need nothing else."""

import dataclasses
import gzip
import json
import os
import pathlib
import pickle
import subprocess
import sys

import ase
import keras
import numpy as np
import pytest
from gaussian_species import gaussian_species
from species_writers import write_ion_xml

import data_tools.openmx_species
import data_tools.species
import keras_hamiltonian as kh
from data_tools.convert import convert
from data_tools.species import read_zeroth_step
from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data import JoinedStore
from keras_hamiltonian.data.correction import measure_correction
from keras_hamiltonian.initial import zeroth_calculation
from keras_hamiltonian.orbitals.gauge import shifted
from keras_hamiltonian.prediction import predict_hamiltonian
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.training import computed_initial
from keras_hamiltonian.training.computed_initial import with_computed_initial
from keras_hamiltonian.training.preparation import make_first_stage

INPUT = pathlib.Path(__file__).parents[1] / "data/graphene_prim.dat.gz"
SPECIES = gaussian_species()
ATOMS = ase.Atoms(
    "OH", [[0.1, 0.2, 0.3], [0.9, 0.6, 0.5]], cell=[4.0, 4.2, 4.4], pbc=True
)
TINY = {
    "irreps": "4x0e + 2x1o + 2x2e",
    "num_groups": 1,
    "num_gaussians": 4,
    "radial_units": [4],
    "projectors": "",
}
TINY_SECOND = {
    "channels": 4,
    "hidden": 4,
    "num_blocks": 1,
    "irreps": "4x0e + 2x1o",
}
only_torch = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="trains a model"
)


def step(**options):
    return kh.ZerothStep(SPECIES, **{"grid_cutoff": 30.0, **options})


@pytest.mark.parametrize("spin", ["none", "noncollinear"])
def test_values_are_exact(spin):
    known = step(spin=spin, functional="PZ81", source={"code": "by hand"})
    text = json.dumps(known.to_dict())
    again = kh.ZerothStep.from_dict(json.loads(text))
    for one, other in zip(known(ATOMS), again(ATOMS)):
        assert one == other
    assert again.overlap(ATOMS) == known(ATOMS)[1]
    assert again.describe() == known.describe()
    assert again.source == {"code": "by hand"}
    assert again.basis == kh.superposition.basis_of(SPECIES)
    # The control: another number is another checksum.
    other = dataclasses.replace(SPECIES["O"], reach=5.9)
    other = kh.ZerothStep(
        {**SPECIES, "O": other},
        spin=spin,
        functional="PZ81",
        grid_cutoff=30.0,
    )
    assert other.describe()["sha256"] != known.describe()["sha256"]


def test_newer_values_are_refused():
    with pytest.raises(ValueError, match="have the version 99"):
        kh.ZerothStep.from_dict({**step().to_dict(), "version": 99})


def structures(number, has_initial, atoms=ATOMS, known=None):
    """H = 1.02 H⁰ - 0.3 S of atoms that are displaced."""
    random, known = np.random.default_rng(0), known or step()
    for n in range(number):
        moved = atoms.copy()
        moved.positions += 0.05 * random.normal(size=(2, 3))
        initial, overlap = known(moved)
        # Where H⁰ is in the files, it has an error.
        in_files = initial.with_entries((1 + 1e-7) * initial.entries)
        scaled = initial.with_entries(1.02 * initial.entries)
        yield kh.Calculation(
            moved,
            known.basis,
            known.spin,
            hamiltonian=shifted(scaled, -0.3, overlap),
            overlap=overlap if has_initial else None,
            initial_hamiltonian=in_files if has_initial else None,
            num_electrons=7,
            name=f"{n}",
        )


def settings(**options):
    if "start_from" not in options:
        options["first_options"] = TINY
    return kh.training.TrainingSettings(
        **{
            "steps": 4,
            "second_stage": "none",
            "species": "folder",
            "species_input": "set.dat",
            **options,
        }
    )


@pytest.fixture
def by_hand(monkeypatch):
    """Species by hand in place of OpenMX's files."""

    def replace(**options):
        monkeypatch.setattr(
            data_tools.species,
            "read_zeroth_step",
            lambda folder, **_: step(**options),
        )

    replace()
    return replace


def run(tmp_path, has_initial=False, **options):
    store = kh.HamiltonianStore.write(
        tmp_path / "set.h5", structures(4, has_initial)
    )
    return store, train(store, tmp_path, **options)


def train(store, tmp_path, stage=None, **options):
    split = kh.data.Split(store.names[:2], store.names[2:3], store.names[3:])
    quick = {"num_spectra": 0, "num_rotations": 0, "largest_cell": 0}
    return kh.train(
        store,
        split,
        settings(**options),
        tmp_path / "run",
        stage=stage,
        num_k_points=0,
        **quick,
    )


@pytest.mark.slow
@only_torch
def test_atoms_alone_in_a_fresh_process(by_hand, tmp_path, caplog):
    store, report = run(tmp_path)
    assert "H⁰ of 4 structures" in caplog.text
    path = tmp_path / "run" / report["files"]["model"]
    model = kh.load_model(path)
    known = model.provenance["data"]["zeroth_step"]
    assert known["sha256"] == step().describe()["sha256"]
    assert known["difference_in_files"] is None
    code = (
        "import numpy as np, ase.io, keras_hamiltonian as kh\n"
        f"found = kh.predict({str(path)!r}, ase.io.read('new.json'))\n"
        "h, s = found.hamiltonian, found.overlap\n"
        "np.savez('new.npz', h=h.entries, s=s.entries, pairs=h.atom_pairs)\n"
    )
    atoms = store.atoms("3")
    ase.io.write(tmp_path / "new.json", atoms)
    root = os.path.dirname(os.path.dirname(kh.__file__))
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        check=True,
    )
    found = np.load(tmp_path / "new.npz")
    initial, overlap = step()(atoms)
    model.zeroth_step = None
    with pytest.raises(ValueError, match="takes H⁰"):
        kh.predict(model, atoms)
    given = kh.predict(model, atoms, initial=lambda _: (initial, overlap))
    np.testing.assert_array_equal(found["pairs"], given.hamiltonian.atom_pairs)
    np.testing.assert_allclose(found["h"], given.hamiltonian.entries, atol=1e-5)
    np.testing.assert_array_equal(found["s"], overlap.entries)
    # The control: H⁰ counts.
    other = initial.with_entries(1.001 * initial.entries)
    other = kh.predict(model, atoms, initial=lambda _: (other, overlap))
    assert np.abs(other.hamiltonian.entries - found["h"]).max() > 1e-3


@pytest.mark.slow
@only_torch
def test_other_ways_to_predict(by_hand, tmp_path):
    store, report = run(tmp_path, has_initial=True)
    model = kh.load_model(tmp_path / "run" / report["files"]["model"])
    known = model.provenance["data"]["zeroth_step"]["difference_in_files"]
    assert 0 < known["mean_mev"] < 1e-3
    assert known["structures"] == ["0", "1", "2", "3"]
    # The training took the computed H⁰, not that of the file.
    computed = kh.HamiltonianStore(tmp_path / "run" / "zeroth_step.h5")
    assert computed["3"].hamiltonian == step()(store.atoms("3"))[0]
    atoms = store.atoms("3")
    expected = kh.predict(model, atoms).hamiltonian
    assert predict_hamiltonian(model, atoms) == expected
    bare = dataclasses.replace(
        store["3"], initial_hamiltonian=None, overlap=None
    )
    errors = kh.evaluate(model, [bare])["errors"]
    assert errors["mae_all"] == pytest.approx(
        kh.metrics.mean_absolute_error(expected, bare.hamiltonian), rel=1e-4
    )
    assert kh.ElectronicStructure(bare, model).overlap == step()(atoms)[1]
    # A second training goes on from it, with its species.
    again = kh.train(
        store,
        kh.data.Split(store.names[:2], store.names[2:3], store.names[3:]),
        kh.training.TrainingSettings(
            steps=2, second_stage="none", start_from=str(report_path(tmp_path))
        ),
        tmp_path / "more",
        num_spectra=0,
        num_rotations=0,
        largest_cell=0,
        num_k_points=0,
    )
    tuned = kh.load_model(tmp_path / "more" / again["files"]["model"])
    assert tuned.zeroth_step.describe() == model.zeroth_step.describe()


@pytest.mark.slow
@only_torch
def test_several_sets(by_hand, tmp_path):
    """One with H⁰ and S in the files, one without."""
    paths = [tmp_path / f"{name}.h5" for name in ("one", "two")]
    for path, has_initial in zip(paths, (True, False)):
        kh.HamiltonianStore.write(path, structures(3, has_initial)).close()
    report = kh.train(
        paths,
        settings=settings(),
        folder=tmp_path / "run",
        num_spectra=0,
        num_rotations=0,
        largest_cell=0,
        num_k_points=0,
    )
    assert list(report["sets"]) == ["one", "two"]
    model = kh.load_model(tmp_path / "run" / report["files"]["model"])
    atoms = kh.HamiltonianStore(paths[1]).atoms("2")
    assert kh.predict(model, atoms).overlap == step()(atoms)[1]


@pytest.mark.slow
@only_torch
def test_a_folder_of_calculations(tmp_path, caplog):
    """It tells the layout of spins as a container does, which species do not
    say."""
    for symbol in "OH":
        write_ion_xml(tmp_path, symbol)
    known = read_zeroth_step(tmp_path, spin="noncollinear", grid_cutoff=30.0)
    store = kh.HamiltonianStore.write(
        tmp_path / "set.h5", structures(4, True, known=known)
    )
    data = tmp_path / "calculations"
    convert(store.path, data, format="deeph-legacy")
    split = kh.data.Split(store.names[:2], store.names[2:3], store.names[3:])

    def run():
        return kh.train(
            data,
            split,
            settings(
                species=str(tmp_path),
                species_input=None,
                species_grid_cutoff=30.0,
            ),
            tmp_path / "run",
            num_k_points=0,
            num_spectra=0,
            num_rotations=0,
            largest_cell=0,
        )

    report = run()
    model = kh.load_model(tmp_path / "run" / report["files"]["model"])
    assert model.spin == model.zeroth_step.spin == "noncollinear"
    written = (tmp_path / "run" / "data.h5").stat()
    assert run() == report
    assert "Nothing has changed" in caplog.text
    assert (tmp_path / "run" / "data.h5").stat() == written


def report_path(tmp_path):
    return next((tmp_path / "run").glob("*.keras"))


@pytest.mark.slow
@only_torch
def test_new_elements_of_a_siesta_run(tmp_path):
    for folder, symbols in (("oxygen", "O"), ("both", "OH")):
        (tmp_path / folder).mkdir()
        for symbol in symbols:
            write_ion_xml(tmp_path / folder, symbol)
    options = {"species_input": None, "species_grid_cutoff": 30.0}
    known = read_zeroth_step(tmp_path / "both", grid_cutoff=30.0)
    atoms, paths = ATOMS.copy(), []
    for folder, symbols in (("oxygen", "OO"), ("both", "OH")):
        atoms.symbols = symbols
        store = kh.HamiltonianStore.write(
            tmp_path / f"{folder}.h5",
            structures(
                4,
                True,
                atoms,
                kh.ZerothStep(
                    {s: known.species[s] for s in set(symbols)},
                    grid_cutoff=30.0,
                ),
            ),
        )
        place = tmp_path / f"{folder}_run"
        report = train(store, place, species=str(tmp_path / folder), **options)
        paths.append(str(place / "run" / report["files"]["model"]))
        if folder == "oxygen":
            options["start_from"] = paths[0]
    model = kh.load_model(paths[1])
    assert list(model.zeroth_step.species) == ["O", "H"]
    first = kh.load_model(paths[0])
    # Atoms alone; the H⁰ of both is that of the files.
    atoms = store.atoms("3")
    found, _ = model.zeroth_step(atoms)
    assert found == known(atoms)[0]
    assert kh.predict(model, atoms).overlap == known(atoms)[1]
    assert list(first.zeroth_step.species) == ["O"]
    with pytest.raises(ValueError, match="together if `grid_cutoff` is the"):
        train(
            store,
            tmp_path / "other",
            species=str(tmp_path / "both"),
            **{**options, "species_grid_cutoff": 40.0},
        )


def test_species_of_other_calculations_are_refused(by_hand, tmp_path):
    by_hand(functional="PW92")
    with pytest.raises(ValueError, match="is not that of the data: they diff"):
        run(tmp_path, has_initial=True)
    by_hand(spin="noncollinear")
    with pytest.raises(ValueError, match="data have spin='none', the species"):
        run(tmp_path)


def test_other_elements_and_orbitals_are_refused(monkeypatch, tmp_path):
    def replaced(species):
        monkeypatch.setattr(
            data_tools.species,
            "read_zeroth_step",
            lambda folder, **_: kh.ZerothStep(species),
        )

    replaced({"O": SPECIES["O"]})
    with pytest.raises(ValueError, match="There are no species of H; known: O"):
        run(tmp_path)
    fewer = dataclasses.replace(
        SPECIES["H"], orbitals=SPECIES["H"].orbitals[:1]
    )
    replaced({**SPECIES, "H": fewer})
    with pytest.raises(ValueError, match="H has the orbitals 1s 1p in the da"):
        run(tmp_path)


def test_a_kill_loses_one_structure(monkeypatch, tmp_path):
    store = kh.HamiltonianStore.write(tmp_path / "set.h5", structures(4, False))
    split = kh.data.Split(store.names[:2], store.names[2:3], store.names[3:])
    known, computed = step(), []

    class Killed(BaseException):
        pass

    def count(zeroth_step, atoms, name):
        if len(computed) == 2:
            raise Killed
        computed.append(name)
        return zeroth_calculation(zeroth_step, atoms, name)

    monkeypatch.setattr(computed_initial, "zeroth_calculation", count)
    arguments = store, split, known, tmp_path
    with pytest.raises(Killed):
        with_computed_initial(*arguments)
    assert len(list((tmp_path / "zeroth_step").iterdir())) == 2
    computed.insert(0, "not two")
    found = with_computed_initial(*arguments)
    assert computed[1:] == ["0", "1", "2", "3"]
    assert not (tmp_path / "zeroth_step").exists()
    for name in store.names:
        alone = known(store.atoms(name))[0]
        assert found[name].initial_hamiltonian == alone
    # What is there is not computed again, but with other species.
    with_computed_initial(*arguments)
    assert len(computed) == 5
    other = step(grid_cutoff=40.0)
    found = with_computed_initial(store, split, other, tmp_path)
    assert len(computed) == 9
    assert found["0"].initial_hamiltonian == other(store.atoms("0"))[0]


def test_a_store_tells_of_the_h0_that_is_computed(tmp_path):
    """Of several sets, too. What H⁰ in the files is off by, no one learns."""
    stores = [
        kh.HamiltonianStore.write(
            tmp_path / f"{name}.h5", structures(2, has_initial)
        )
        for name, has_initial in (("one", True), ("two", False))
    ]
    both = JoinedStore(stores)
    split = kh.data.Split(both.names, (), ())
    found = with_computed_initial(both, split, step(), tmp_path)
    for name in both.names:
        initial, overlap = step()(both.atoms(name))
        calculation = dataclasses.replace(
            both[name], initial_hamiltonian=initial, overlap=overlap
        )
        assert found.correction(name) == measure_correction(calculation)
        counts = found.pair_counts(name)
        assert counts["both"] == counts["overlap"] == len(overlap)
    assert both.correction("two-0") is None
    assert both.correction("one-0") != found.correction("one-0")
    assert "H⁰ in 4 structures: mean |H - H⁰ - μS|" in found.describe()
    assert found.set_of("two-1") == "two"
    again = pickle.loads(pickle.dumps(found))
    assert again.pair_counts("two-1") == found.pair_counts("two-1")


def test_another_energy_zero_is_the_same_physics(tmp_path, caplog):
    """H⁰ + μS has the states of H⁰; no other multiple of S is as near."""

    def moved(shift):
        for c in structures(2, True):
            initial = shifted(c.initial_hamiltonian, shift, c.overlap)
            yield dataclasses.replace(c, initial_hamiltonian=initial)

    split = kh.data.Split(["0", "1"], (), ())
    stores = [
        kh.HamiltonianStore.write(tmp_path / f"{k}.h5", moved(shift))
        for k, shift in enumerate((0.0, 0.25))
    ]
    found = [
        with_computed_initial(store, split, step(), tmp_path).attributes[
            "zeroth_step"
        ]["difference_in_files"]
        for store in stores
    ]
    assert found[1]["shift_mev"] == pytest.approx(250, abs=0.01)
    assert found[1]["mean_mev"] == pytest.approx(found[0]["mean_mev"])
    assert "a shift of the energy zero by 250.0" in caplog.text


def test_reaches_are_those_of_the_species(tmp_path):
    """Molecules show little of where orbitals end; those of other sets in the
    same basis end at the same place."""
    molecule = ase.Atoms("OH", [[0, 0, 0], [0.97, 0, 0]])
    store = kh.HamiltonianStore.write(
        tmp_path / "set.h5", structures(2, True, molecule)
    )
    split = kh.data.Split(store.names, (), ())
    expected = BOHR_IN_ANGSTROM * SPECIES["O"].reach
    # The control: what the pairs say.
    assert max(kh.physics.estimate_reaches(store).values()) < 0.5 * expected
    found = with_computed_initial(store, split, step(), tmp_path)
    stage = make_first_stage(found, split, settings())
    assert stage.reaches == pytest.approx({"O": expected, "H": expected})
    pairs = stage.zeroth_step.atom_pairs(ATOMS)
    assert pairs.tolist() == pairs_within(ATOMS, stage.reaches).tolist()


def test_the_clock_sees_every_structure(monkeypatch, tmp_path, caplog):
    """Those that are compared with the files first, too."""
    store = kh.HamiltonianStore.write(tmp_path / "set.h5", structures(2, True))
    split = kh.data.Split(store.names, (), ())
    seconds = [0.0]

    def slow(*arguments):
        seconds[0] += 10.0
        return zeroth_calculation(*arguments)

    monkeypatch.setattr(computed_initial, "zeroth_calculation", slow)
    monkeypatch.setattr(
        computed_initial.time, "process_time", lambda: seconds[0]
    )
    with_computed_initial(store, split, step(), tmp_path)
    assert "H⁰ of 2 structures: 20 CPU seconds" in caplog.text


def test_species_of_two_models():
    oxygen, hydrogen = (
        kh.ZerothStep(gaussian_species([s]), grid_cutoff=30.0, source=s)
        for s in "OH"
    )
    both = oxygen.joined(hydrogen)
    assert both.source == {"joined": ["O", "H"]}
    for one, other in zip(both(ATOMS), step()(ATOMS)):
        assert one == other
    # The same again changes nothing, also of a model that was saved.
    again = kh.ZerothStep.from_dict(both.to_dict()).joined(step())
    assert again.describe()["sha256"] == both.describe()["sha256"]
    moved = dataclasses.replace(SPECIES["H"], num_electrons=1.5)
    with pytest.raises(ValueError, match="species of H are not the same: orb"):
        both.joined(kh.ZerothStep({"H": moved}, grid_cutoff=30.0))
    with pytest.raises(ValueError, match="together if `functional` is the sa"):
        both.joined(step(functional="PW92"))


@pytest.mark.slow
@only_torch
def test_a_given_stage_says_what_it_takes(by_hand, tmp_path):
    """H⁰ goes into a stage that takes it, whatever the settings would be
    without one."""
    store, report = run(tmp_path, initial="correct")
    path = tmp_path / "run" / report["files"]["model"]
    second = {"first_options": {}, "second_stage": "equivariant"}
    second["second_options"] = TINY_SECOND
    no_species = {"species": None, "species_input": None}
    for name, options in (("own", no_species), ("same", {})):
        found = train(
            store, tmp_path / name, stage=path, **second, **options, steps=8
        )
        model = kh.load_model(tmp_path / name / "run" / found["files"]["model"])
        assert model.stage.arguments["initial"] == "correct"
        assert model.provenance["settings"]["initial"] == "correct"
        assert found["steps"] == {"second": 2}
    with pytest.raises(ValueError, match="given, 'correct'. Received: 'both'"):
        train(store, tmp_path, stage=path, initial="both", **second)
    with pytest.raises(ValueError, match="`reaches` are those of the stage"):
        reaches = {"reaches": {"O": 3.0}, **no_species}
        train(store, tmp_path, stage=path, **reaches, **second)
    plain = kh.models.EquivariantStage(
        store.basis.to_dict(), {"O": 3.2, "H": 3.2}, **TINY
    )
    with pytest.raises(ValueError, match="there for H⁰, and the model"):
        train(store, tmp_path / "plain", stage=plain, **second)
    assert not (tmp_path / "plain").exists()


def test_settings():
    assert settings().initial == "both"
    # By default, not by wish: a model that is given has its own.
    assert "initial" not in settings().model_fields_set
    assert settings(initial="correct").initial == "correct"
    assert settings(species_input=None, species_grid_cutoff=9).species
    with pytest.raises(ValueError, match="species_input: these go with"):
        settings(species=None)


def test_graphene_of_openmx(data_folder, species_folder, tmp_path, caplog):
    (tmp_path / "set.dat").write_bytes(gzip.decompress(INPUT.read_bytes()))
    known = data_tools.openmx_species.openmx_zeroth_step(
        tmp_path / "set.dat", species_folder
    )
    assert len(json.dumps(known.to_dict())) < 250_000
    known = kh.ZerothStep.from_dict(known.to_dict())
    assert known.source["potentials"] == ["C_PBE19"]
    store = kh.HamiltonianStore(data_folder / "graphene.h5")
    split = kh.data.Split(store.names[:1], (), store.names[1:2])
    found = with_computed_initial(store, split, known, tmp_path)
    words = caplog.text
    assert "differ by 0.06" in words or "differ by 0.05" in words
    difference = found.attributes["zeroth_step"]["difference_in_files"]
    # Numbers of the set are rounded; ours on the grid are not OpenMX's.
    assert 0.04 < difference["mean_mev"] < 0.08
    assert found.has_initial(0) and not found.has_initial(5)
    assert found[0].initial_hamiltonian != store[0].initial_hamiltonian
    # What is kept is not computed again.
    caplog.clear()
    with_computed_initial(store, split, known, tmp_path)
    assert "CPU seconds" not in caplog.text
