"""A small file makes neither hours nor gigabytes of work."""

import gzip
import pathlib
import resource
import time
import zipfile

import ase
import ase.build
import h5py
import numpy as np
import pytest
from small_crystals import crystal

import keras_hamiltonian as kh
from data_tools import abacus_input
from data_tools import read_apart
from data_tools.formats import find_sources
from data_tools.formats import read_calculation
from data_tools.formats import write_calculation
from data_tools.structures import find_structures
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.physics.k_points import k_grid
from keras_hamiltonian.structures import triangles
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within

SCFOUT = pathlib.Path(__file__).parents[1] / "data" / "graphene_prim.scfout.gz"
SECONDS, MEGABYTES = 10.0, 1000


@pytest.fixture(autouse=True)
def little_work():
    start = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.process_time() - start < SECONDS
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (after - before) / 1024 < MEGABYTES


def refused(path, message):
    with pytest.raises(ValueError, match=message) as error:
        read_calculation(path)
    assert path.name in str(error.value)


def scfout(tmp_path, change):
    path = tmp_path / "x.scfout"
    path.write_bytes(change(gzip.decompress(SCFOUT.read_bytes())))
    return path


def test_count_of_cells(tmp_path):
    many = (2**31 - 1).to_bytes(4, "little")
    path = scfout(tmp_path, lambda b: b[:20] + many + b[24:])
    refused(path, "claims to hold")


def test_count_of_shells(tmp_path):
    path = scfout(tmp_path, lambda b: b.replace(b"C6.0-s2p2d1", b"C6-p9999999"))
    refused(path, "13 orbitals for an atom")
    with pytest.raises(ValueError, match="1 to 200 shells"):
        OrbitalBasis({"C": "99999999999p"})


@pytest.mark.parametrize("source", ["log", "names"])
def test_count_of_shells_of_abacus(source, tmp_path):
    write_calculation(tmp_path / "run", crystal(), "abacus")
    output = tmp_path / "run" / "OUT.ABACUS"
    if source == "names":
        (output / "Orbital").unlink()
        path = tmp_path / "run" / "STRU"
        path.write_text(path.read_text().replace("He_1s", "He_9999999999s"))
    else:
        with (output / "running_scf.log").open("a") as log:
            for symbol in ("H", "He"):
                log.write(f"READING ATOM TYPE\natom label = {symbol}\n")
                log.write("L=0, number of zeta = 9999999999\n")
    refused(tmp_path / "run", "needs 1 to 200 shells")


def test_count_of_atoms_of_abacus(tmp_path):
    write_calculation(tmp_path / "run", crystal(), "abacus")
    path = tmp_path / "run" / "STRU"
    # A reader that goes on by so many lines stays where it is.
    path.write_text(path.read_text().replace("0.0\n1\n", "0.0\n-3\n", 1))
    refused(tmp_path / "run", "announces -3 atoms")
    cell = ["2 0 0", "0 2 0", "0 0 2"]
    counts = "9999999999 -9999999998"
    lines = ["lattice", "1", *cell, "H He", counts, "Direct", "0 0 0"]
    with pytest.raises(ValueError, match="run.csr.*9999999999|atoms"):
        abacus_input.read_structure_lines("run.csr", lines)


def test_gzipped_zeros(tmp_path):
    path = tmp_path / "x.scfout.gz"
    with gzip.open(path, "wb") as file:
        file.write(gzip.decompress(SCFOUT.read_bytes()))
        for _ in range(300):
            file.write(bytes(10**6))
    assert len(read_calculation(path).atoms) == 2


@pytest.mark.parametrize("layout", ["abacus", "abacus-legacy"])
def test_count_of_orbitals(layout, tmp_path):
    write_calculation(tmp_path / "x", crystal(), layout)
    for path in (tmp_path / "x").rglob("*.csr"):
        text = path.read_text()
        for old in (": 2\n", " 2 # number of localized"):
            text = text.replace(old, old.replace("2", "2147483647", 1))
        path.write_text(text)
    refused(tmp_path / "x", "announces 2147483647 orbitals")


def test_count_of_atoms(tmp_path):
    write_calculation(tmp_path / "x", crystal(), "deeph-dock")
    path = tmp_path / "x" / "POSCAR"
    path.write_text(path.read_text().replace("  1   1\n", " 99999999999 1\n"))
    refused(tmp_path / "x", "POSCAR.*announces 99999999999")
    with pytest.raises(ValueError, match="announces"):
        find_structures([path])


def test_whole_numbers_of_a_cell_are_no_counts(tmp_path):
    cell = [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 20.0]]
    lines = ["H", "1.0", *("{:.0f} {:.0f} {:.0f}".format(*x) for x in cell)]
    path = tmp_path / "layer.vasp"
    path.write_text("\n".join([*lines, "H", "1", "Direct", "0 0 0", ""]))
    atoms, _ = find_structures([path])[0].load()
    np.testing.assert_array_equal(atoms.cell, cell)


@pytest.mark.parametrize("format", ["container", "deeph-dock", "deeph-legacy"])
def test_empty_data_sets(format, tmp_path):
    path = tmp_path / ("x.h5" if format == "container" else "x")
    write_calculation(path, crystal(), format)
    file = path if format == "container" else next(path.glob("hamiltonian*"))
    with h5py.File(file, "a") as root:
        group = root["structures/000/hamiltonian" if path == file else "/"]
        name = "[0, 0, 0, 1, 1]" if format == "deeph-legacy" else "entries"
        del group[name]
        # Without numbers it takes no space.
        group.create_dataset(name, (10**5, 10**6), "f8", chunks=(100, 100))
    refused(path, "claims to hold")


def test_zip_bomb(tmp_path):
    path = tmp_path / "x.npz"
    write_calculation(path, crystal(), "npz")
    arrays = dict(np.load(path))
    arrays["H_data"] = np.zeros(10**7)
    arrays["S_data"] = np.zeros(10**7)
    np.savez_compressed(path, **arrays)
    refused(path, "claims to hold")


def test_zip_bomb_in_a_model(untrained_file, tmp_path):
    """Its weights are many, so that the file as a whole is no bomb."""
    path = tmp_path / "x.keras"
    with (
        zipfile.ZipFile(untrained_file) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        new.writestr("config.json", b" " * (2**26 + 1))
        weights = old.read("model.weights.h5")
        new.writestr("model.weights.h5", weights, zipfile.ZIP_STORED)
    with pytest.raises(ValueError, match="x.keras has a config.json of"):
        kh.load_model(path)


def test_strings_in_which_hdf5_hangs(tmp_path):
    path = tmp_path / "x.h5"
    write_calculation(path, crystal(), "container")
    data = bytearray(path.read_bytes())
    place = data.index(b"GCOL") + 16
    while data[place : place + 2] != b"\0\0":  # up to the free space
        size = int.from_bytes(data[place + 8 : place + 16], "little")
        place += 16 + (size + 7) // 8 * 8
    data[place + 8 : place + 16] = bytes(8)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="strings at byte .* are damaged"):
        find_sources(path)


def test_links_to_other_files(tmp_path):
    write_calculation(tmp_path / "x", crystal(), "deeph-legacy")
    with h5py.File(tmp_path / "x" / "hamiltonians.h5", "a") as root:
        del root["[0, 0, 0, 1, 1]"]
        root["[0, 0, 0, 1, 1]"] = h5py.ExternalLink("/etc/secret.h5", "x")
    refused(tmp_path / "x", "is a link to another file")


def test_small_cells():
    tiny = ase.Atoms("C", cell=[0.1] * 3, pbc=True)
    with pytest.raises(ValueError, match="neighbours within 7.0 Å"):
        pairs_within(tiny, {"C": 3.5})
    dense = ase.build.bulk("C")
    assert len(pairs_within(dense, {"C": 3.5})) > 200


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e9])
def test_positions_that_are_none(bad):
    atoms = ase.build.bulk("C")
    atoms.positions[1, 2] = bad
    with pytest.raises(ValueError, match="positions are finite numbers"):
        pairs_within(atoms, {"C": 3.5})


def hanging(path):
    while True:
        pass


def dying(path):
    import os

    os.abort()


def failing(path):
    raise ValueError(f"{path} is wrong")


def working(path):
    print("libraries print")
    return path.read_text()


def test_readers_apart(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_text("text")
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent))

    def read(function):
        name = f"test_unbounded_work:{function.__name__}"
        return read_apart.read_apart(name, path)

    monkeypatch.setattr(read_apart, "CPU_SECONDS_PER_BYTE", 0.0)
    assert read(working) == read(working) == "text"
    with pytest.raises(ValueError, match="x is wrong"):
        read(failing)
    with pytest.raises(ValueError, match="ends the program.*-6"):
        read(dying)
    with pytest.raises(ValueError, match="within 10 CPU seconds"):
        read(hanging)


@pytest.mark.parametrize("count", ["99999999999", "9" * 5000])
def test_more_atoms_than_lines(count, tmp_path):
    """ASE counts the lines of the next frame, which has none."""
    path = tmp_path / "x.xyz"
    crystal().atoms.write(path, format="extxyz")
    assert find_structures([path])[0].load()[0] == crystal().atoms
    path.write_text(path.read_text() + count + "\n")
    with pytest.raises(ValueError, match="x.xyz.*lines"):
        find_structures([path])


def test_cells_that_are_tiny_or_skewed():
    reaches = {"C": 3.2}
    for length in (0.7, 0.5, 0.1):
        atoms = ase.Atoms("C2", [[0, 0, 0], [length / 2] * 3], pbc=True)
        atoms.set_cell([length] * 3)
        with pytest.raises(ValueError, match="neighbours within"):
            pairs_within(atoms, reaches)
    atoms = ase.build.graphene(vacuum=7.5)
    atoms.pbc = True
    number = len(pairs_within(atoms, reaches))
    assert np.prod(k_grid(atoms)) < 1000
    atoms.cell[1] += 4000 * atoms.cell[0]
    assert len(pairs_within(atoms, reaches)) == number
    with pytest.raises(ValueError, match="minkowski_reduce"):
        k_grid(atoms)


def test_pairs_of_neighbours_are_taken_in_portions(monkeypatch):
    atoms = ase.build.graphene(vacuum=7.5)
    atoms.pbc = True
    table = neighbor_table(atoms, pairs_within(atoms, {"C": 3.0}))
    arrays = (table.edge_vectors, table.neighbors, table.edge_mask)
    expected = triangles.common_neighbors(*arrays)
    monkeypatch.setattr(triangles, "NUM_PAIRS_AT_ONCE", 100)
    np.testing.assert_array_equal(triangles.common_neighbors(*arrays), expected)


def test_more_atoms_than_lines_of_a_header():
    lines = ["user", "1", "3 0 0", "0 3 0", "0 0 3", "H", "1", "Direct"]
    lines.append("0.1 0.2 0.3")
    assert len(abacus_input.read_structure_lines("x.csr", lines)) == 1
    lines[6] = "145454545456"
    with pytest.raises(ValueError, match="x.csr.*145454545456 atoms, 1 line"):
        abacus_input.read_structure_lines("x.csr", lines)
