"""What DeepH folders that cannot be read say.

The raw fixtures are described in tests/data/README.md.
"""

import pathlib
import shutil

import h5py
import numpy as np
import pytest

from data_tools import deeph

DATA = pathlib.Path(__file__).parents[1] / "data"
GRAPHENE = DATA / "deeph_graphene_prim"


@pytest.fixture
def graphene(tmp_path):
    return pathlib.Path(shutil.copytree(GRAPHENE, tmp_path / "graphene"))


def replace_text(name, text):
    return lambda folder: (folder / name).write_text(text)


def add_dataset(key, value):
    def change(folder):
        with h5py.File(folder / "hamiltonians.h5", "a") as file:
            file[key] = value

    return change


def cut(folder):
    path = folder / "overlaps.h5"
    path.write_bytes(path.read_bytes()[:1000])


def transpose(folder):
    path = folder / "site_positions.dat"
    np.savetxt(path, np.loadtxt(path).T)


LEGACY_FAULTS = [
    (replace_text("lat.dat", "1 0\n0 1\n"), r"lat.dat.*\(2, 2\).*\(3, 3\)"),
    (replace_text("lat.dat", "a b c\n"), "lat.dat is no table of numbers"),
    (transpose, r"site_positions.*\(2, 3\).*\(3, 2\).*transposed"),
    (replace_text("orbital_types.dat", "0 1\n"), "1 lines for 2 atoms"),
    (
        replace_text("orbital_types.dat", "0 1\n0\n"),
        r"C the shells \(0, 1\) and, in entry 2, \(0,\)",
    ),
    (replace_text("orbital_types.dat", "s p\n"), "no table of degrees"),
    (replace_text("orbital_types.dat", "4 0 0 0 0\n" * 2), "l = 4 in openmx"),
    (replace_text("orbital_types.dat", "0 1\n" * 2), "13 orbitals for C"),
    (replace_text("info.json", "{"), "info.json is not JSON"),
    (replace_text("info.json", "[]"), "should hold a JSON object"),
    (replace_text("info.json", '{"isspinful": true}'), "says spinful: true"),
    (
        add_dataset("onsite", np.zeros((13, 13))),
        "holds 'onsite'; expected keys",
    ),
    (add_dataset("[0, 0, 0, 0, 1]", np.zeros((13, 13))), "atoms from 1 to 2"),
    (add_dataset("[9, 0, 0, 1, 1]", np.zeros(169)), "two dimensions"),
    (cut, "overlaps.h5 cannot be opened as HDF5"),
    (lambda folder: (folder / "lat.dat").unlink(), "no lat.dat"),
    (
        lambda folder: (folder / "orbital_types.dat").unlink(),
        "no orbital_types",
    ),
]


@pytest.mark.parametrize("change, message", LEGACY_FAULTS)
def test_faulty_legacy_folders(graphene, change, message):
    change(graphene)
    with pytest.raises(ValueError, match=message):
        deeph.read_legacy(graphene)


def spoil_boundaries(folder):
    with h5py.File(folder / "overlap.h5", "a") as file:
        file["chunk_boundaries"][1] += 1


def drop_entries(folder):
    with h5py.File(folder / "overlap.h5", "a") as file:
        del file["entries"]


CHUNKED_FAULTS = [
    (lambda folder: (folder / "POSCAR").unlink(), "holds no POSCAR"),
    (replace_text("POSCAR", "My1\n1\n"), "POSCAR cannot be read.*dummy"),
    (replace_text("info.json", "{}"), "no `elements_orbital_map` entry for C"),
    (spoil_boundaries, "overlap.h5.*: `chunk_boundaries`"),
    (drop_entries, "lacks the datasets entries"),
]


@pytest.mark.parametrize("change, message", CHUNKED_FAULTS)
def test_faulty_chunked_folders(tmp_path, change, message):
    deeph.write_chunked(tmp_path, deeph.read_legacy(GRAPHENE))
    change(tmp_path)
    with pytest.raises(ValueError, match=message):
        deeph.read_chunked(tmp_path)
