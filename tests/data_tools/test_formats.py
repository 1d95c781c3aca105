"""Every format is recognised, and errors name the file."""

import dataclasses
import importlib.util
import pathlib
import shutil

import numpy as np
import pytest

from data_tools import formats
from data_tools.convert import convert
from data_tools.deeph import read_deeph
from keras_hamiltonian.data.store import HamiltonianStore

DATA = pathlib.Path(__file__).parents[1] / "data"
HAS_SISL = importlib.util.find_spec("sisl") is not None
SCFOUT = DATA / "graphene_prim.scfout.gz"
DEEPH = DATA / "deeph_graphene_prim"


@pytest.fixture
def graphene(data_folder):
    return HamiltonianStore(data_folder / "reference_graphene.h5")[0]


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_table_names_every_format():
    lines = [line for line in formats.__doc__.splitlines() if "|" in line][2:]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [
        (name.strip("`"), read, write) for name, _, read, write, _ in cells
    ] == [
        (f.name, *("yes" if able else "no" for able in (f.read, f.write)))
        for f in formats.FORMATS.values()
    ]


def test_formats_are_recognised(data_folder, tmp_path, graphene):
    places = {
        "container": data_folder / "reference_graphene.h5",
        "deeph-legacy": DEEPH,
        "openmx": SCFOUT,
        "deeph-dock": tmp_path / "dock",
    }
    formats.write_calculation(tmp_path / "dock", graphene, "deeph-dock")
    for name, place in places.items():
        assert formats.detect_format(place) == name
        calculation = formats.read_calculation(place)
        assert len(calculation.atoms) == 2
        np.testing.assert_allclose(
            calculation.hamiltonian.find((0, 0, 0, 0, 0)),
            graphene.hamiltonian.find((0, 0, 0, 0, 0)),
            atol=2e-3,  # one run has another cell
        )
    assert formats.detect_format(DATA / "README.md") is None


def test_writing_what_was_read(tmp_path, graphene):
    for name, known in formats.FORMATS.items():
        if not (known.read and known.write):
            continue
        if name == "siesta" and not HAS_SISL:
            continue
        if name == "wannier90":  # other orbitals: test_wannier90_reader
            continue
        ending = known.endings[0] if known.endings else ""
        place = tmp_path / f"{name}{ending}"
        formats.write_calculation(place, graphene, name)
        assert formats.detect_format(place) == name
        found = formats.read_calculation(place)
        assert found.basis == graphene.basis
        assert found.fermi_level == pytest.approx(graphene.fermi_level)
        for matrix in ("hamiltonian", "overlap"):
            expected = getattr(graphene, matrix)
            assert set(expected.index) == set(getattr(found, matrix).index)
            for pair, block in zip(expected.index, expected.blocks()):
                np.testing.assert_allclose(
                    getattr(found, matrix).find(pair), block, atol=1e-9
                )


def test_folder_of_everything(tmp_path, data_folder):
    shutil.copytree(DEEPH, tmp_path / "set" / "000")
    # A file inside a calculation belongs to it.
    shutil.copy(SCFOUT, tmp_path / "set" / "000")
    shutil.copy(SCFOUT, tmp_path / "set" / "001.scfout.gz")
    shutil.copy(data_folder / "reference_graphene.h5", tmp_path / "set")
    sources = formats.find_sources(tmp_path)
    assert [(s.name, s.format) for s in sources] == [
        ("000", "deeph-legacy"),
        ("001", "openmx"),
        ("000", "container"),
    ]
    only = formats.find_sources(tmp_path, "openmx")
    assert [s.file.name for s in only] == ["graphene_prim.scfout.gz"] + [
        "001.scfout.gz"
    ]
    with pytest.raises(ValueError, match="holds 2 structures called '000'"):
        formats.read_calculation(tmp_path, name="000")
    assert formats.read_calculation(tmp_path, name="001").name == "001"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: formats.find_sources(DATA / "nowhere"), "does not exist"),
        (
            lambda: formats.find_sources(DATA / "README.md"),
            r"README.md holds nothing that can be read.*openmx \(\*.scfout",
        ),
        (
            lambda: formats.read_calculation(DEEPH, "vasp"),
            "'vasp' is unknown. Formats to read: container",
        ),
        (
            lambda: formats.write_calculation(DATA, None, "openmx"),
            "'openmx' cannot do that. Formats to write: container",
        ),
        (
            lambda: formats.read_calculation(SCFOUT, basis="2s"),
            "scfout.gz: the reader was called with the options basis",
        ),
    ],
)
def test_what_cannot_be_read_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_convert_to_container(tmp_path):
    for name in ("a", "b"):
        shutil.copytree(DEEPH, tmp_path / "set" / name / "000")
    shutil.copy(SCFOUT, tmp_path / "other.scfout.gz")
    seen = []
    names = convert(
        [tmp_path / "set", tmp_path / "other.scfout.gz"],
        tmp_path / "new" / "all.h5",
        progress=lambda *step: seen.append(step),
    )
    assert names == ["a_000", "b_000", "other"]
    assert seen == [(0, 3, "a_000"), (1, 3, "b_000"), (2, 3, "other")] + [
        (3, 3, None)
    ]
    store = HamiltonianStore(tmp_path / "new" / "all.h5")
    assert store.names == tuple(names)
    assert store["b_000"].hamiltonian == read_deeph(DEEPH).hamiltonian


def test_convert_to_folders_and_back(tmp_path, data_folder):
    source = data_folder / "reference_graphene.h5"
    other = shutil.copy(source, tmp_path / "other.h5")
    names = convert([source, other], tmp_path / "set", "deeph-legacy")
    assert names == ["reference_graphene_000", "other_000"]
    assert files_in(tmp_path / "set") == sorted(names)
    convert(tmp_path / "set", tmp_path / "back.h5")
    back = HamiltonianStore(tmp_path / "back.h5")["other_000"]
    expected = HamiltonianStore(source)[0]
    for pair, block in zip(
        expected.hamiltonian.index, expected.hamiltonian.blocks()
    ):
        np.testing.assert_array_equal(back.hamiltonian.find(pair), block)


def test_poscar_of_another_program(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "POSCAR").write_text("some structure")
    shutil.copy(SCFOUT, tmp_path / "run" / "a.scfout.gz")
    assert [s.name for s in formats.find_sources(tmp_path)] == ["a"]


def test_convert_to_one_file(tmp_path, data_folder):
    source = data_folder / "reference_graphene.h5"
    options = {"grid": (2, 2, 1)}
    with pytest.warns(UserWarning, match="denser grid"):
        convert(
            source, tmp_path / "x_hr.dat", "wannier90", write_options=options
        )
    convert(source, tmp_path / "x.npz", "npz")
    convert(source, tmp_path / "many", "npz")
    assert files_in(tmp_path) == ["many", "x.npz", "x.win", "x_hr.dat"]
    assert files_in(tmp_path / "many") == ["000.npz"]
    with pytest.raises(ValueError, match="'000'.*wannier90.*option `grid`"):
        convert(source, tmp_path / "y_hr.dat", "wannier90")
    assert files_in(tmp_path) == ["many", "x.npz", "x.win", "x_hr.dat"]


def test_options_of_the_reader(tmp_path):
    shutil.copy(SCFOUT, tmp_path / "a.scfout.gz")
    shutil.copytree(DEEPH, tmp_path / "b")
    options = {"output": tmp_path / "absent.out"}
    with pytest.raises(ValueError, match="no file .*absent.out"):
        convert(tmp_path, tmp_path / "x.h5", "container", "openmx", options)
    names = convert(tmp_path, tmp_path / "x.h5", source_format="openmx")
    assert names == ["a"]


def test_nothing_half_written(tmp_path):
    shutil.copytree(DEEPH, tmp_path / "set" / "000")
    shutil.copytree(DEEPH, tmp_path / "set" / "001")
    bad = tmp_path / "set" / "001" / "site_positions.dat"
    bad.write_text("1 2\n")
    for format, target in (("container", "all.h5"), ("deeph-dock", "all")):
        with pytest.raises(ValueError, match="001/site_positions.dat has the"):
            convert(tmp_path / "set", tmp_path / target, format)
    assert files_in(tmp_path) == ["set"]
    shutil.rmtree(tmp_path / "set" / "001")
    (tmp_path / "all").mkdir()
    convert(tmp_path / "set", tmp_path / "all", "deeph-dock")
    with pytest.raises(ValueError, match="all exists"):
        convert(tmp_path / "set", tmp_path / "all", "deeph-dock")
    with pytest.raises(ValueError, match="would be converted twice"):
        convert([tmp_path / "set"] * 2, tmp_path / "twice.h5")
    assert files_in(tmp_path) == ["all", "set"]


def test_errors_of_the_data_name_file_and_structure(tmp_path, graphene):
    path = tmp_path / "one.h5"
    nothing = dict.fromkeys(("hamiltonian", "overlap", "initial_hamiltonian"))
    broken = dataclasses.replace(graphene, name="bare", **nothing)
    HamiltonianStore.write(path, [broken])
    with pytest.raises(
        ValueError,
        match="'bare' cannot be written as deeph-legacy: .*no matrix",
    ):
        convert(path, tmp_path / "set", "deeph-legacy")
    assert files_in(tmp_path) == ["one.h5"]
