"""H⁰ of a structure file by a command, as others read it."""

import gzip
import pathlib

import ase.io
import numpy as np
import pytest
from small_stages import SMALL

import data_tools.species
import keras_hamiltonian as kh
from data_tools.initial import with_initial
from data_tools.openmx_species import openmx_zeroth_step
from data_tools.species import read_species
from data_tools.species import read_zeroth_step

INPUT = pathlib.Path(__file__).parents[1] / "data" / "graphene_prim.dat.gz"


@pytest.fixture
def cell(folder, data_folder):
    known = kh.HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    ase.io.write(folder / "new.cif", known.atoms)
    text = gzip.decompress(INPUT.read_bytes()).decode()
    (folder / "set.dat").write_text(text)
    return known


def test_structure_file_to_initial_hamiltonian(cell, command, species_folder):
    words = ["zeroth", "new.cif", "--species", species_folder]
    result = command(*words, "--input", "set.dat", "-o", "h0.h5")
    assert result.stdout == "1 structures: h0.h5\n"
    found = kh.HamiltonianStore("h0.h5")["new"]
    # Positions of a cif file have six digits or so.
    joined = with_initial(cell, found)
    error = (
        joined.initial_hamiltonian.entries - cell.initial_hamiltonian.entries
    )
    assert 1e3 * np.abs(error).mean() < 0.5
    assert found.num_electrons == 8
    command(*words, "--orbitals", "C6.0-s2p2d1", "-o", "same.h5")
    same = kh.HamiltonianStore("same.h5")["new"]
    assert same.hamiltonian == found.hamiltonian
    command("bands", "h0.h5", "--points", 3)


def test_settings_of_an_input(cell, command, species_folder, folder):
    text = (folder / "set.dat").read_text()
    changes = {
        "magnetic atoms": ("2.0 2.0", "2.5 1.5"),
        "starts from magnetic": (
            "scf.SpinPolarization off",
            "scf.SpinPolarization on",
        ),
        "functional SCAN": ("GGA-PBE", "SCAN"),
        "no complete section": ("<Definition", "Definition"),
    }
    words = ["zeroth", "new.cif", "--species", species_folder]
    for message, (old, new) in changes.items():
        assert old in text
        (folder / "other.dat").write_text(text.replace(old, new))
        result = command(*words, "--input", "other.dat", code=1)
        assert message in result.output
    result = command(*words, code=1)
    assert "Which orbitals?" in result.output
    result = command(*words, "--input", "set.dat", "--orbitals", "C", code=1)
    assert "says orbitals itself" in result.output


def test_predictions_compute_it(cell, command, species_folder, monkeypatch):
    stage = kh.models.EquivariantStage(
        cell.basis.to_dict(), {"C": 3.2}, initial="both", **SMALL
    )
    stage.save("bare.keras")
    words = ["new.cif", "--format", "npz"]
    result = command("predict", "bare.keras", *words, code=1)
    assert "comes without it" in result.output
    files = ["--species", species_folder, "--input", "set.dat"]
    command("predict", "bare.keras", *words, *files, "-o", "given")
    stage.zeroth_step = openmx_zeroth_step("set.dat", species_folder)
    stage.save("own.keras")
    # Radial functions of carbon.
    larger = [
        pathlib.Path(f"{n}.keras").stat().st_size for n in ("own", "bare")
    ]
    assert 1e5 < larger[0] - larger[1] < 3e5
    command("predict", "own.keras", *words, "-o", "own")
    given, own = (np.load(f"{folder}/new.npz") for folder in ("given", "own"))
    numbers = [key for key in given if given[key].dtype.kind in "fc"]
    assert numbers and sorted(given) == sorted(own)
    for key in numbers:
        np.testing.assert_array_equal(given[key], own[key])
    more = ["--model", "bare.keras", "--points", 3, "--electrons", 8]
    command("bands", "new.cif", *more, *files, "-o", "a.npz")
    command(
        "bands", "new.cif", "--model", "own.keras", *more[2:], "-o", "b.npz"
    )
    for key in ("energies", "k_points"):
        np.testing.assert_array_equal(
            np.load("a.npz")[key], np.load("b.npz")[key]
        )
    # One .pao of carbon, shells of the model: the folder is enough.
    command("predict", "bare.keras", *words, *files[:2], "-o", "alone")
    alone = np.load("alone/new.npz")
    np.testing.assert_array_equal(alone[numbers[0]], own[numbers[0]])
    read = []

    def count(*words, **options):
        read.append(words)
        return read_zeroth_step(*words, **options)

    monkeypatch.setattr(data_tools.species, "read_zeroth_step", count)
    words = ["--model", "bare.keras", "--grid", 2, 2, 1, "--electrons", 8]
    result = command("optics", "new.cif", *words, *files[:2], "-o", "x.npz")
    assert len(read) == 1 and "no dipoles" not in result.stderr
    result = command("bands", "new.cif", *files, code=2)
    assert "give --model as well" in result.output
    words = ["predict", "bare.keras", "new.cif", *files[2:]]
    result = command(*words, code=1)
    assert "--input: these go with species. Give --species" in result.output


def test_a_folder_that_leaves_a_choice(species_folder, tmp_path):
    basis = kh.orbitals.OrbitalBasis({"C": "2s 2p 1d"})
    for name in ("C6.0.pao", "C_PBE19.vps"):
        (tmp_path / name).write_bytes((species_folder / name).read_bytes())
    (tmp_path / "Cr6.0.pao").write_text("of another element")
    assert list(read_species(tmp_path, basis=basis)) == ["C"]
    with pytest.raises(ValueError, match="has no .pao files of N. Say which"):
        read_species(tmp_path, basis=kh.orbitals.OrbitalBasis({"N": "1s"}))
    (tmp_path / "C5.0.pao").write_text("another")
    with pytest.raises(ValueError, match="2 .pao files of C: C5.0, C6.0. Say"):
        read_species(tmp_path, basis=basis)
    with pytest.raises(ValueError, match="Which orbitals"):
        read_species(tmp_path)
    with pytest.raises(ValueError, match="says functional, grid_cutoff itself"):
        read_zeroth_step(tmp_path, "x.dat", functional="PBE", grid_cutoff=9.0)
