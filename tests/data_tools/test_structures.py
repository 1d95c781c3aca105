"""Structures of any file, with what is known of them."""

import dataclasses

import ase.build
import pytest

import keras_hamiltonian as kh
from data_tools.deeph import write_legacy
from data_tools.structures import find_structures


def test_every_kind(data_folder, tmp_path):
    cell = data_folder / "reference_graphene.h5"
    store = kh.HamiltonianStore(cell)
    known = dataclasses.replace(store[0], initial_hamiltonian=None)
    write_legacy(tmp_path / "deeph", known)
    write_legacy(tmp_path / "bare", known)
    for name in ("hamiltonians.h5", "overlaps.h5"):
        (tmp_path / "bare" / name).unlink()
    sheet = ase.build.graphene(vacuum=7.5)
    ase.io.write(tmp_path / "two.xyz", [sheet, sheet])
    names = ["deeph", "bare", "two.xyz"]
    found = find_structures([cell, *(tmp_path / name for name in names)])
    assert [s.name for s in found] == [
        store.names[0],
        "deeph",
        "bare",
        "two_0",
        "two_1",
    ]
    for structure in found:
        atoms, known = structure.load()
        assert atoms.get_chemical_formula() == "C2"
        assert (known is None) == (
            structure.name not in (*store.names, "deeph")
        )
    assert found[1].calculation().hamiltonian is not None
    with pytest.raises(ValueError, match="'bare' has no Hamiltonian"):
        found[2].calculation()
    assert find_structures([cell], store.names)[0].name == store.names[0]
    with pytest.raises(ValueError, match="no structure x; found"):
        find_structures([cell], ["x"])
    with pytest.raises(ValueError, match="one name.*two_0"):
        find_structures([tmp_path / "two.xyz"] * 2)


def test_atoms_that_are_none(tmp_path):
    """Refused with the file and the number, before any work."""
    sheet, bad = (ase.build.graphene(vacuum=7.5) for _ in range(2))
    bad.positions[1, 2] = float("nan")
    path = tmp_path / "pool.extxyz"
    for frames, place in (([bad], ""), ([sheet, bad], ", structure 1")):
        ase.io.write(path, frames)
        with pytest.raises(ValueError, match=f"extxyz{place}: The positions"):
            find_structures([path])


def test_an_array_of_no_kind(tmp_path):
    """NumPy takes its kind for Python, and raises a SyntaxError."""
    path = tmp_path / "a.json"
    ase.build.bulk("Si").write(path)
    text = path.read_text()
    path.write_text(text.replace(' "float64"', ' "04"'))
    with pytest.raises(ValueError, match="a.json is no structure that ASE"):
        find_structures([path])
    with pytest.raises(ValueError, match="b.json does not exist"):
        find_structures([tmp_path / "b.json"])
