"""The raw fixtures are described in tests/data/README.md."""

import dataclasses
import json
import pathlib
import shutil

import ase
import h5py
import numpy as np
import pytest

from data_tools import deeph
from data_tools.openmx import read_scfout
from keras_hamiltonian.data.calculation import Calculation
from keras_hamiltonian.orbitals.basis import OrbitalBasis
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

DATA = pathlib.Path(__file__).parents[1] / "data"
GRAPHENE = DATA / "deeph_graphene_prim"
SPINS = ["none", "collinear", "noncollinear"]
LAYOUTS = {
    "legacy": (deeph.read_legacy, deeph.write_legacy, deeph.LEGACY_FILES),
    "chunked": (deeph.read_chunked, deeph.write_chunked, deeph.CHUNKED_FILES),
}
PAIRS = [(0, 0, 0, 0, 0), (1, -2, 0, 0, 1), (-1, 2, 0, 1, 0), (0, 0, 0, 1, 1)]


def made_calculation(spin="none"):
    """Two atoms of two elements, shells up to f, numbers of every size."""
    random = np.random.default_rng(0)
    basis = OrbitalBasis({"Mo": [0, 2, 1, 3], "S": "2s 2p 1d"})
    atoms = ase.Atoms(
        "SMo",
        random.normal(size=(2, 3)) * 3,
        cell=np.eye(3) * 5 + random.normal(size=(3, 3)),
        pbc=True,
    )

    def matrix(spin):
        factor = 1 if spin == "none" else 2
        blocks = []
        for *_, i, j in PAIRS:
            shape = [factor * basis.num_orbitals(z) for z in atoms.numbers]
            shape = (shape[i], shape[j], 2)
            block = random.normal(size=shape) ** 9
            block[0, 0] = -0.0, 5e-324
            is_complex = spin == "noncollinear"
            blocks.append(
                block.view(complex)[..., 0] if is_complex else block[..., 0]
            )
        return BlockMatrix.from_blocks(PAIRS, blocks)

    return Calculation(
        atoms,
        basis,
        spin=spin,
        hamiltonian=matrix(spin),
        overlap=matrix("none"),
        initial_hamiltonian=matrix(spin),
        fermi_level=-1 / 3,
        num_electrons=20.0,
        source={"code": "OpenMX", "version": "3.9"},
    )


def assert_same_matrix(found, expected):
    """Equal to the bit, in any order of the pairs."""
    assert found.entries.dtype == expected.entries.dtype
    assert set(found.index) == set(expected.index)
    for pair in expected.index:
        assert found.find(pair).tobytes() == expected.find(pair).tobytes()


@pytest.fixture
def graphene(tmp_path):
    return pathlib.Path(shutil.copytree(GRAPHENE, tmp_path / "graphene"))


def test_legacy_folder_of_another_program_agrees_with_openmx():
    found = deeph.read_legacy(GRAPHENE)
    expected = read_scfout(DATA / "graphene_prim.scfout.gz")
    np.testing.assert_allclose(found.atoms.cell, expected.atoms.cell)
    np.testing.assert_allclose(found.atoms.positions, expected.atoms.positions)
    assert found.basis == expected.basis
    assert found.fermi_level == pytest.approx(expected.fermi_level, abs=1e-7)
    for field, rounding in (("hamiltonian", 2**-25), ("overlap", 2**-32)):
        matrix = getattr(found, field)
        assert set(matrix.index) == set(getattr(expected, field).index)
        for pair in matrix.index:
            np.testing.assert_allclose(
                matrix.find(pair),
                getattr(expected, field).find(pair),
                rtol=0,
                atol=0.6 * rounding,
            )
    assert found.initial_hamiltonian is None


def test_legacy_files_come_back_to_the_bit(tmp_path):
    deeph.write_legacy(tmp_path, deeph.read_legacy(GRAPHENE))
    for name in ("hamiltonians.h5", "overlaps.h5"):
        with (
            h5py.File(GRAPHENE / name) as original,
            h5py.File(tmp_path / name) as written,
        ):
            assert set(original) == set(written)
            for key in original:
                assert original[key].dtype == written[key].dtype
                expected = original[key][()].tobytes()
                assert written[key][()].tobytes() == expected
    for path in GRAPHENE.glob("*.dat"):
        np.testing.assert_allclose(
            np.loadtxt(tmp_path / path.name), np.loadtxt(path), atol=1e-14
        )
    info = json.loads((GRAPHENE / "info.json").read_text())
    written = json.loads((tmp_path / "info.json").read_text())
    assert {key: written[key] for key in info} == info


def test_legacy_keys_and_order_by_hand(tmp_path):
    basis = OrbitalBasis({"C": "1s 1p"})
    atoms = ase.Atoms("C2", [[0, 0, 0], [1, 2, 3]], cell=np.diag([4, 5, 6]))
    block = np.arange(16.0).reshape(4, 4)
    deeph.write_legacy(
        tmp_path,
        Calculation(
            atoms,
            basis,
            hamiltonian=BlockMatrix.from_blocks([(0, -1, 2, 0, 1)], [block]),
        ),
    )
    with h5py.File(tmp_path / "hamiltonians.h5") as file:
        assert list(file) == ["[0, -1, 2, 1, 2]"]
        # The file keeps s, x, y, z; the package s, y, z, x.
        order = [0, 3, 1, 2]
        np.testing.assert_array_equal(
            file["[0, -1, 2, 1, 2]"], block[np.ix_(order, order)]
        )
    positions = np.loadtxt(tmp_path / "site_positions.dat")
    np.testing.assert_array_equal(positions, [[0, 1], [0, 2], [0, 3]])
    assert (tmp_path / "element.dat").read_text().split() == ["6", "6"]
    orbitals = (tmp_path / "orbital_types.dat").read_text().splitlines()
    assert orbitals == ["0\t1", "0\t1"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("spin", SPINS)
def test_round_trip(tmp_path, layout, spin):
    read, write, _ = LAYOUTS[layout]
    calculation = made_calculation(spin)
    write(tmp_path / "a", calculation)
    for found in (read(tmp_path / "a"), deeph.read_deeph(tmp_path / "a")):
        for field in ("hamiltonian", "overlap", "initial_hamiltonian"):
            expected = getattr(calculation, field)
            assert_same_matrix(getattr(found, field), expected)
        assert found.spin == spin
        assert found.basis == calculation.basis
        assert found.fermi_level == -1 / 3
        assert found.num_electrons == 20
        assert found.source.items() >= calculation.source.items()
        assert found.name == "a"
        np.testing.assert_array_equal(found.atoms.numbers, [16, 42])
        # A POSCAR holds 16 decimals.
        atol = 0 if layout == "legacy" else 1e-15
        for quantity in ("positions", "cell"):
            np.testing.assert_allclose(
                getattr(found.atoms, quantity),
                getattr(calculation.atoms, quantity),
                rtol=0,
                atol=atol,
            )


def test_both_layouts_hold_the_same(tmp_path):
    calculation = deeph.read_deeph(GRAPHENE)
    deeph.write_chunked(tmp_path, calculation)
    with h5py.File(tmp_path / "hamiltonian.h5") as file:
        assert set(file) == {
            "atom_pairs",
            "chunk_boundaries",
            "chunk_shapes",
            "entries",
        }
        assert file["chunk_boundaries"].shape == (93,)
        assert file["atom_pairs"][:, 3:].max() == 1
        first = file["entries"][: file["chunk_boundaries"][1]]
        pair = file["atom_pairs"][0]
    block = calculation.hamiltonian.find(pair)
    np.testing.assert_array_equal(first, block.ravel())
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["elements_orbital_map"] == {"C": [0, 0, 1, 1, 2]}
    assert info["atoms_quantity"] == 2
    assert info["orbits_quantity"] == 26
    assert not info["spinful"] and not info["orthogonal_basis"]
    assert deeph.read_deeph(tmp_path).hamiltonian == calculation.hamiltonian


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_matrix_alone(tmp_path, layout):
    read, write, names = LAYOUTS[layout]
    calculation = made_calculation("noncollinear")
    overlap_only = dataclasses.replace(
        calculation, hamiltonian=None, initial_hamiltonian=None
    )
    write(tmp_path / "overlap", overlap_only)
    found = read(tmp_path / "overlap")
    assert found.hamiltonian is None
    assert found.spin == "noncollinear"
    assert_same_matrix(found.overlap, calculation.overlap)

    files = {"hamiltonian": names["prediction"], "overlap": None}
    files["initial_hamiltonian"] = None
    write(tmp_path / "prediction", calculation, files=files)
    with pytest.raises(
        ValueError, match=f"pass files=.*{files['hamiltonian']}"
    ):
        read(tmp_path / "prediction")
    found = read(tmp_path / "prediction", files=files)
    assert found.overlap is None
    assert_same_matrix(found.hamiltonian, calculation.hamiltonian)
    with pytest.raises(ValueError, match="no file other.h5"):
        read(tmp_path / "prediction", files={**files, "overlap": "other.h5"})
    with pytest.raises(ValueError, match="gives file names.*density"):
        read(tmp_path / "prediction", files={"density": "density.h5"})


@pytest.mark.parametrize("spin", SPINS)
def test_prediction_has_the_pairs_of_the_overlap(tmp_path, spin):
    calculation = made_calculation(spin)
    kept = calculation.hamiltonian.select([1, 2])
    predicted = dataclasses.replace(
        calculation,
        hamiltonian=kept,
        overlap=calculation.overlap.select([0, 1]),
    )
    (tmp_path / "info.json").write_text('{"isspinful": false, "own": 1}')
    report = deeph.write_prediction(tmp_path, predicted)
    assert report == deeph.PredictionReport(num_zero=1, num_dropped=1)
    with h5py.File(tmp_path / "hamiltonians_pred.h5") as file:
        assert set(file) == {"[0, 0, 0, 1, 1]", "[1, -2, 0, 1, 2]"}
        assert not file["[0, 0, 0, 1, 1]"][()].any()
        size = 13 if spin == "none" else 26
        assert file["[0, 0, 0, 1, 1]"].shape == (size, size)
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["isspinful"] == (spin != "none")
    assert info["own"] == 1
    # With the overlap of the argument; with none at all.
    overlap = calculation.overlap
    report = deeph.write_prediction(tmp_path, predicted, overlap)
    assert report == deeph.PredictionReport(num_zero=2, num_dropped=0)
    bare = dataclasses.replace(predicted, overlap=None)
    assert deeph.write_prediction(tmp_path, bare) == (0, 0)
    with h5py.File(tmp_path / "hamiltonians_pred.h5") as file:
        assert set(file) == {"[1, -2, 0, 1, 2]", "[-1, 2, 0, 2, 1]"}
    with pytest.raises(ValueError, match="no Hamiltonian"):
        deeph.write_prediction(
            tmp_path, dataclasses.replace(bare, hamiltonian=None)
        )


def test_chunked_matrices_share_their_pairs(tmp_path):
    calculation = made_calculation("noncollinear")
    sparse = dataclasses.replace(
        calculation, overlap=calculation.overlap.select([3, 0])
    )
    with pytest.raises(ValueError, match="'overlap': 2.*fill_missing=True"):
        deeph.write_chunked(tmp_path, sparse)
    deeph.write_chunked(tmp_path, sparse, fill_missing=True)
    found = deeph.read_chunked(tmp_path)
    assert list(found.overlap.index) == list(found.hamiltonian.index)
    assert not found.overlap.find(PAIRS[1]).any()
    np.testing.assert_array_equal(
        found.overlap.find(PAIRS[3]), calculation.overlap.find(PAIRS[3])
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_half_written_remains(tmp_path, layout, monkeypatch):
    read, write, names = LAYOUTS[layout]
    calculation = made_calculation()
    write(tmp_path, calculation)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert not any(name.startswith(".") for name in before)

    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path, calculation)
    with pytest.raises(OSError, match="disk full"):
        deeph.write_prediction(tmp_path, calculation)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_calculations_do_not_mix(tmp_path, layout):
    _, write, names = LAYOUTS[layout]
    calculation = made_calculation()
    write(tmp_path, calculation)
    fewer = dataclasses.replace(calculation, initial_hamiltonian=None)
    with pytest.raises(ValueError, match=names["initial_hamiltonian"]):
        write(tmp_path, fewer)
    empty = Calculation(calculation.atoms, calculation.basis)
    with pytest.raises(ValueError, match="no matrix to write"):
        write(tmp_path, empty)


def test_layout_is_told_by_the_files(graphene, tmp_path):
    calculation = deeph.read_deeph(graphene)
    ase.io.write(graphene / "POSCAR", calculation.atoms, format="vasp")
    assert deeph.read_deeph(graphene).source["format"] == "DeepH legacy"
    deeph.write_chunked(graphene, calculation)
    with pytest.raises(ValueError, match="both DeepH layouts"):
        deeph.read_deeph(graphene)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no DeepH folder.*element.dat"):
        deeph.read_deeph(tmp_path / "empty")
    with pytest.raises(ValueError, match="is no folder"):
        deeph.read_deeph(tmp_path / "absent")


def test_legacy_folder_without_info(graphene):
    (graphene / "info.json").unlink()
    found = deeph.read_legacy(graphene)
    assert found.spin == "none" and found.fermi_level is None
