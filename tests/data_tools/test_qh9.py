"""A database as QH9's, made by PySCF (tests/data/README.md)."""

import dataclasses
import pathlib
import shutil
import sqlite3
import sys

import numpy as np
import pytest
import scipy.linalg

from data_tools.convert import convert
from data_tools.formats import find_sources
from data_tools.formats import read_calculation
from data_tools.qh9 import BOHR_IN_ANGSTROM
from data_tools.qh9 import HARTREE_IN_EV
from data_tools.qh9 import read_qh9
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.orbitals.orders import from_package_order
from keras_hamiltonian.physics.hamiltonian import BlochMatrices

DATABASE = pathlib.Path(__file__).parents[1] / "data" / "qh9.db"
# The five and seven occupied levels in hartree that PySCF found.
LEVELS = {
    "2": [-19.1178654, -0.9822657, -0.5167476, -0.3660503, -0.2918904],
    "4": [-14.3519253, -10.2447053, -0.9166048, -0.6043379]
    + [-0.3812685, -0.3676555, -0.3676553],
}


@pytest.fixture
def database(tmp_path):
    return pathlib.Path(shutil.copy(DATABASE, tmp_path))


def execute(path, *command):
    connection = sqlite3.connect(path)
    connection.execute(*command)
    connection.commit()
    connection.close()


def levels(calculation):
    matrices = BlochMatrices.from_calculation(calculation)
    return scipy.linalg.eigh(*matrices.dense_at((0, 0, 0)), eigvals_only=True)


@pytest.mark.parametrize("name", ["2", "4"])
def test_levels_of_the_run(name):
    pytest.importorskip("pyscf")
    calculation = read_calculation(DATABASE, name=name)
    expected = np.array(LEVELS[name]) * HARTREE_IN_EV
    assert not calculation.atoms.pbc.any()
    assert calculation.num_electrons == 2 * len(expected)
    found = levels(calculation)
    np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-3)
    # The overlap as PySCF orders it, p as (x, y, z), belongs to another H.
    overlap = from_package_order(
        calculation.overlap,
        "pyscf",
        calculation.basis,
        calculation.atoms.numbers,
    )
    other = levels(dataclasses.replace(calculation, overlap=overlap))
    assert np.abs(other[: len(expected)] - expected).max() > 0.1


def test_molecules_become_a_set(database):
    assert [s.name for s in find_sources(database)] == ["2", "4"]
    convert(database.parent, database.parent / "set.h5")
    store = HamiltonianStore(database.parent / "set.h5")
    assert store.names == ("2", "4")
    assert store["4"].basis.to_dict() == {
        "C": "3s 2p 1d",
        "H": "2s 1p",
        "N": "3s 2p 1d",
    }
    with pytest.raises(ValueError, match="2 structures; expected one"):
        read_qh9(database)
    # Files of other programs ask for a cell.
    convert(database, database.parent / "folders", "deeph-legacy")
    found = read_calculation(database.parent / "folders", name="2")
    assert found.hamiltonian.index == store["2"].hamiltonian.index


def test_dynamic_set_has_bohr(database):
    expected = read_qh9(database, "2")
    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT N, Z, pos, Ham FROM data").fetchall()
    connection.executescript(
        "DROP TABLE data; CREATE TABLE data (id INTEGER NOT NULL, geo_id "
        "INTEGER NOT NULL, N INTEGER, Z BLOB, pos BLOB, ekin FLOAT, epot "
        "FLOAT, etot FLOAT, time FLOAT, Ham BLOB, converged INT)"
    )
    for step, (count, numbers, positions, fock) in enumerate(rows):
        positions = np.frombuffer(positions) / BOHR_IN_ANGSTROM
        connection.execute(
            "INSERT INTO data (id, geo_id, N, Z, pos, Ham) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            # NumPy's integers get there as bytes.
            (
                np.int64(17).tobytes(),
                step,
                count,
                numbers,
                positions.tobytes(),
                fock,
            ),
        )
    connection.commit()
    connection.close()
    assert [s.name for s in find_sources(database)] == ["17_0", "17_1"]
    found = read_qh9(database, "17_0")
    np.testing.assert_allclose(found.atoms.positions, expected.atoms.positions)
    assert found.hamiltonian == expected.hamiltonian


def test_without_pyscf_there_is_no_overlap(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyscf", None)
    found = read_qh9(DATABASE, "2")
    assert found.overlap is None
    assert found.hamiltonian is not None


@pytest.mark.parametrize(
    "command, message",
    [
        (("UPDATE data SET Ham = x'00'",), "Ham of 3 atoms has 1 bytes"),
        (("UPDATE data SET Ham = substr(Ham, 9)",), "the matrix has"),
        (("UPDATE data SET N = 2",), "Z of 2 atoms has 12 bytes"),
        (("UPDATE data SET N = 'many'",), "number of atoms is 'many'"),
        (("UPDATE data SET Z = zeroblob(12)",), "atomic numbers go from 0"),
        (
            ("UPDATE data SET Z = ?", np.array([14, 1, 1], "<i4").tobytes()),
            "the basis of Si is unknown",
        ),
        (
            ("UPDATE data SET pos = ?", np.full(9, np.nan).tobytes()),
            "finite numbers",
        ),
        (
            ("UPDATE data SET Ham = zeroblob(length(Ham))",),
            "hamiltonian is zero",
        ),
    ],
)
def test_what_does_not_fit_is_said(command, message, database):
    statement, *values = command
    execute(database, f"{statement} WHERE id = 2", values)
    with pytest.raises(ValueError, match=f"qh9.db.*{message}"):
        read_qh9(database, "2")
    assert read_qh9(database, "4").name == "4"


def test_views_are_not_followed(database):
    execute(database, "ALTER TABLE data RENAME TO real")
    execute(
        database,
        "CREATE VIEW data AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
        "i + 1 FROM n) SELECT i AS id, i AS N, i AS Z, i AS pos, i AS Ham "
        "FROM n",
    )
    with pytest.raises(ValueError, match="nothing that can be read"):
        find_sources(database)


def test_file_stays_as_it_is(database):
    before = database.read_bytes()
    read_qh9(database, "2")
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["qh9.db"]
