"""Formats in, formats out; numbers only move."""

import json
import pathlib

import numpy as np
import pytest

import keras_hamiltonian as kh
from data_tools.formats import read_calculation

SCFOUT = pathlib.Path(__file__).parents[1] / "data" / "graphene_prim.scfout.gz"


def same(one, other):
    for field in ("hamiltonian", "overlap"):
        a, b = getattr(one, field), getattr(other, field)
        assert {tuple(p) for p in a.atom_pairs} == {
            tuple(p) for p in b.atom_pairs
        }
        for pair in a.atom_pairs[::7]:
            assert np.array_equal(a.find(pair), b.find(pair))
    return True


@pytest.mark.parametrize("format", ["deeph-legacy", "deeph-dock"])
def test_openmx_to_container_to_folders_and_back(format, command, folder):
    result = command("convert", SCFOUT, "set.h5")
    assert result.stdout == "1 structures: set.h5 (container)\n"
    command("convert", "set.h5", "folders", "--format", format)
    command("convert", "folders", "again.h5")
    first, again = (
        kh.HamiltonianStore(folder / name)["graphene_prim"]
        for name in ("set.h5", "again.h5")
    )
    assert same(first, read_calculation(SCFOUT)) and same(first, again)


def test_siesta_and_abacus(command, folder, data_folder):
    pytest.importorskip("sisl")
    mos2 = data_folder / "reference_mos2.h5"
    command("convert", mos2, "hsx", "--format", "siesta")
    command("convert", mos2, "abacus", "--format", "abacus")
    for name in ("hsx", "abacus"):
        command("convert", name, f"{name}.h5")
        store = kh.HamiltonianStore(folder / f"{name}.h5")
        assert store.basis == kh.HamiltonianStore(mos2).basis


def test_precision_makes_containers_small(command, folder):
    command("convert", SCFOUT, "all.h5")
    command(
        "convert", SCFOUT, "few.h5", "--precision", 1e-3, "--compression", 9
    )
    sizes = [(folder / f"{n}.h5").stat().st_size for n in ("all", "few")]
    assert sizes[1] < sizes[0] / 2


def test_check_finds_what_is_wrong(command, folder, data_folder):
    mos2 = data_folder / "reference_mos2.h5"
    assert "1 clean" in command("check", mos2).stdout
    calculation = kh.HamiltonianStore(mos2)[0]
    calculation.atoms.positions[0] = calculation.atoms.positions[1] + 0.1
    kh.HamiltonianStore.write(folder / "wrong.h5", [calculation])
    result = command("check", "wrong.h5", "--json", "found.json", code=1)
    assert "ERROR" in result.stdout
    assert json.loads((folder / "found.json").read_text())["num_errors"]
