"""Active learning in three commands; splits that keep groups whole."""

import dataclasses
import gzip
import pathlib
import re

import ase.build
import ase.io
import numpy as np
import pytest
from small_stages import small_stage

import keras_hamiltonian as kh

DATA = pathlib.Path(__file__).parents[1] / "data"
TRAINED = ("000", "001")


@pytest.fixture
def files(folder, data_folder):
    """A model of two structures, and candidates: one known, one far off."""
    store = kh.HamiltonianStore(data_folder / "graphene.h5")
    known = [store[name] for name in TRAINED]
    kh.HamiltonianStore.write(folder / "set.h5", [*known, store["002"]]).close()
    small_stage(store).save(folder / "model.keras")
    text = gzip.decompress((DATA / "graphene_prim.dat.gz").read_bytes())
    (folder / "openmx.dat").write_bytes(text)
    candidates = [store.atoms("001").copy() for _ in range(4)]
    for seed, (size, atoms) in enumerate(zip((0, 0.01, 0.2, 0.01), candidates)):
        atoms.rattle(size, seed=seed)
    ase.io.write(folder / "pool.extxyz", candidates)
    return folder


def test_inputs_of_the_structures_to_learn_from(files, command):
    words = ("propose", "model.keras", "pool.extxyz", "-n", 2)
    words += ("--known", "set.h5", "--template", "openmx.dat")
    printed = command(*words).stdout
    assert "4 candidates, 2 structures known" in printed
    lines = [line for line in printed.splitlines() if "variance" in line]
    assert lines[0].startswith("pool_2") and len(lines) == 2
    chosen = [line.split()[0] for line in lines]
    for name in chosen:
        assert (files / "next" / name / f"{name}.dat").is_file()
    split = kh.data.Split.read("next.split.json")
    assert list(split.train) == chosen and not split.test
    assert "next exists" in command(*words, code=1).stderr


def test_structures_without_a_template(files, command):
    words = ("propose", "model.keras", "pool.extxyz", "-n", 1, "-o", "a")
    command(*words, "--known", "set.h5")
    [atoms] = ase.io.read("a.extxyz", ":")
    expected = ase.io.read("pool.extxyz", 2)
    np.testing.assert_allclose(atoms.positions, expected.positions, atol=1e-7)


def test_fewer_than_wanted_and_a_missing_folder_are_said(files, command):
    """One of the four is a copy of a known one; the template's species are
    not there."""
    template = files / "openmx.dat"
    text = re.sub("(?m)^DATA.PATH.*$", "", template.read_text())
    template.write_text(text + "\nDATA.PATH ../nowhere/DFT_DATA19\n")
    words = ("propose", "model.keras", "pool.extxyz", "-n", 40)
    words += ("--known", "set.h5", "--template", "openmx.dat")
    said = command(*words).stderr
    assert "3 of 40" in said
    assert "DATA.PATH" in said and "nowhere/DFT_DATA19" in said


def test_data_that_the_model_does_not_know(files, command):
    kh.HamiltonianStore.write(
        "other.h5",
        [dataclasses.replace(kh.HamiltonianStore("set.h5")["000"], name="x")],
    ).close()
    words = ("propose", "model.keras", "pool.extxyz", "--known", "other.h5")
    message = "not trained on any structure of other.h5"
    assert message in command(*words, code=1).stderr


@pytest.mark.slow
def test_results_join_the_training(files, command, data_folder):
    """Runs of the inputs are played by calculations of the same names."""
    words = ("propose", "model.keras", str(data_folder / "graphene.h5"))
    printed = command(*words, "-n", 2, "--known", "set.h5").stdout
    chosen = kh.data.Split.read("next.split.json").train
    store = kh.HamiltonianStore(data_folder / "graphene.h5")
    kh.HamiltonianStore.write("next.h5", [store[n] for n in chosen]).close()
    command("convert", "next.h5", "next", "--format", "deeph-legacy")
    kh.data.Split(TRAINED, [], ["002"]).write("set.split.json")
    words = ("train", "set.h5", "next", "--start-from", "model.keras")
    command(*words, "--steps", 3, "--second-stage", "none", "-o", "run")
    model = kh.load_model("run/set+next.keras")
    names = [f"set-{n}" for n in TRAINED] + [f"next-{n}" for n in chosen]
    assert model.provenance["structures"] == names
    # What was computed is known now, and the next choice another one.
    words = ("propose", "run/set+next.keras", str(data_folder / "graphene.h5"))
    words += ("-n", 2, "--known", "set.h5", "--known", "next", "-o", "more")
    again = command(*words).stdout
    assert "4 structures known" in again and printed != again
    assert set(kh.data.Split.read("more.split.json").train).isdisjoint(chosen)


@pytest.fixture
def cells(folder):
    """Structures of three cells, without matrices."""
    basis = kh.OrbitalBasis({"C": "1s"})
    found = []
    for shape in ((2, 2, 1), (3, 2, 1), (3, 3, 1)):
        for k in range(3):
            atoms = ase.build.graphene(vacuum=7.5) * shape
            atoms.rattle(0.04, seed=k)
            name = f"{shape[0]}{shape[1]}_{k}"
            found.append(kh.Calculation(atoms, basis, name=name))
    kh.HamiltonianStore.write("cells.h5", found).close()
    return folder


@pytest.mark.parametrize("by", ["cell", "trajectory"])
def test_groups_stay_whole(cells, command, by):
    printed = command("split", "cells.h5", "--by", by).stdout
    split = kh.data.Split.read("cells.split.json")
    parts = [{n[:2] for n in p} for p in (split.train, split.validate)]
    parts.append({n[:2] for n in split.test})
    assert sorted(map(len, parts)) == [1, 1, 1] and len(split.names) == 9
    assert printed.count("3 of") == 3
    assert "exists" in command("split", "cells.h5", code=1).stderr
    # The control: structures by themselves are mixed.
    command("split", "cells.h5", "--overwrite")
    assert (
        len({n[:2] for n in kh.data.Split.read("cells.split.json").train}) > 1
    )


def test_too_few_groups(cells, command):
    words = ("split", "cells.h5", "--by", "composition")
    error = command(*words, code=1).stderr
    assert "the data have 1: C." in error and "leave a part empty" in error
    words = ("split", "cells.h5", "--by", "cell", "--fractions", 0.7, 0, 0.3)
    command(*words)
    assert not kh.data.Split.read("cells.split.json").validate


def test_several_sets(cells, command):
    (cells / "more.h5").write_bytes((cells / "cells.h5").read_bytes())
    words = ("split", "cells.h5", "more.h5", "--by", "trajectory")
    assert "-o FILE" in command(*words, code=2).stderr
    command(*words, "-o", "both.json")
    split = kh.data.Split.read("both.json")
    assert len(split.names) == 18 and "more-22_0" in split.names
