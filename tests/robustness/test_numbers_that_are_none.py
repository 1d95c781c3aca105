"""NaN is refused where it comes in: in data, structures and models."""

import dataclasses
import zipfile

import ase.build
import h5py
import keras
import numpy as np
import pytest
from small_crystals import crystal
from small_training import TINY
from small_training import small_set

import keras_hamiltonian as kh
from keras_hamiltonian import plots
from keras_hamiltonian.physics.bands import BandStructure
from keras_hamiltonian.physics.k_points import KPath
from keras_hamiltonian.plots.style import finish_panels
from keras_hamiltonian.plots.style import new_axes


def spoiled(calculation, field, value=np.nan):
    matrix = getattr(calculation, field)
    entries = matrix.entries.copy()
    entries[3] = value
    return dataclasses.replace(
        calculation, **{field: matrix.with_entries(entries)}
    )


@pytest.mark.parametrize("field", ["hamiltonian", "overlap"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_data(field, value):
    known = crystal()
    pair = tuple(known.hamiltonian.atom_pairs[3].tolist())
    data = [known, spoiled(crystal(name="bad"), field, value)]
    batches = kh.HamiltonianDataset(data)
    batches[0]
    with pytest.raises(ValueError) as error:
        batches[1]
    for word in ("'bad'", field, str(pair)):
        assert word in str(error.value)


@pytest.mark.parametrize("part", ["train", "validate", "test"])
def test_before_a_training(part, tmp_path):
    parts = {"train": ["a"], "validate": ["b"], "test": ["c"]}
    data = {name: crystal(name=name) for name in "abc"}
    (name,) = parts[part]
    data[name] = spoiled(data[name], "hamiltonian")
    path = tmp_path / "set.h5"
    kh.HamiltonianStore.write(path, data.values())
    settings = kh.training.TrainingSettings(steps=1)
    with pytest.raises(ValueError, match=f"'{name}' has 1 numbers that are"):
        kh.train(path, kh.data.Split(**parts), settings, tmp_path / "run")
    assert not list(tmp_path.rglob("*.keras"))


@pytest.mark.skipif(keras.config.backend() != "torch", reason="builds a stage")
def test_a_test_structure_without_an_overlap(tmp_path):
    """Its atoms are closer than any of the training: not after the budget."""
    store = small_set(tmp_path / "set.h5", 6)
    parts = {"train": ["000"], "validate": ["001"], "test": ["005"]}
    settings = kh.training.TrainingSettings(**TINY)
    with pytest.raises(ValueError, match="'005' cannot be predicted.*closer"):
        kh.train(store, kh.data.Split(**parts), settings, tmp_path / "run")
    assert not list(tmp_path.rglob("*.keras"))


STRUCTURES = {
    "position": lambda a: a.positions.__setitem__((0, 0), np.nan),
    "lattice": lambda a: a.cell.__setitem__((1, 1), np.inf),
    "no volume": lambda a: a.set_cell(a.cell[[0, 0, 2]]),
    "ghost": lambda a: a.numbers.__setitem__(0, 0),
    "negative": lambda a: a.numbers.__setitem__(0, -6),
    "no atoms": lambda a: a.__delitem__([0, 1]),
    "far": lambda a: a.positions.__setitem__((0, 0), 1e9),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_structures(case, untrained_file):
    atoms = ase.build.graphene(vacuum=7.5)
    atoms.pbc = True
    STRUCTURES[case](atoms)
    with pytest.raises(
        ValueError, match="finite|independent|Atomic numbers|no atoms"
    ):
        kh.predict(untrained_file, atoms)


@pytest.mark.parametrize(
    "field, value",
    [
        ("fermi_level", "abc"),
        ("fermi_level", [1]),
        ("fermi_level", np.nan),
        ("num_electrons", -7),
    ],
)
def test_levels_and_electrons(field, value):
    with pytest.raises(ValueError, match=f"`{field}` of 000 is a number"):
        crystal(**{field: value})


@pytest.mark.parametrize("number", [0, -6, 119, 10**9])
def test_elements_of_a_deeph_folder(number, tmp_path):
    from data_tools.formats import read_calculation
    from data_tools.formats import write_calculation

    write_calculation(tmp_path / "x", crystal(), "deeph-legacy")
    (tmp_path / "x" / "element.dat").write_text(f"1\n{number}\n")
    with pytest.raises(ValueError, match=f"from 1 to 118. Received: {number}"):
        read_calculation(tmp_path / "x")


def changed_model(path, target, change):
    """A model file with other contents of one of its parts."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change.get(name, lambda x: x)(old.read(name)))


def test_a_model_with_nan(untrained_file, tmp_path):
    model = kh.load_model(untrained_file)
    weight = next(w for w in model.trainable_weights if w.shape)
    weight.assign(keras.ops.full(weight.shape, np.nan))
    model.save(tmp_path / "nan.keras")
    with pytest.raises(ValueError, match="nan.keras.*not all finite"):
        kh.load_model(tmp_path / "nan.keras")


@pytest.mark.parametrize(
    "change",
    [
        {"config.json": lambda x: b"[1]"},
        {"config.json": lambda x: b""},
        {"config.json": lambda x: b'{"a":' * 10**5},
        {"model.weights.h5": lambda x: x[: len(x) // 2]},
        {"config.json": lambda x: x.replace(b'"2s 2p', b'"99999999s 2p')},
        {
            "config.json": lambda x: x.replace(
                b'"overlap_threshold": null', b'"overlap_threshold": "x"'
            )
        },
    ],
)
def test_damaged_models(change, untrained_file, tmp_path):
    path = tmp_path / "x.keras"
    changed_model(untrained_file, path, change)
    with pytest.raises(ValueError, match="x.keras"):
        kh.load_model(path)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_flipped_and_cut_models(place, untrained_file, tmp_path):
    data = bytearray(untrained_file.read_bytes())
    path = tmp_path / "x.keras"
    path.write_bytes(data[: int(place * len(data))])
    with pytest.raises(ValueError, match="x.keras"):
        kh.load_model(path)


@pytest.mark.parametrize("kind", [int, bool, np.float16])
def test_one_block_of_another_type(kind, tmp_path):
    from data_tools.formats import read_calculation
    from data_tools.formats import write_calculation

    write_calculation(tmp_path / "x", crystal(), "deeph-legacy")
    with h5py.File(tmp_path / "x" / "hamiltonians.h5", "a") as root:
        del root["[0, 0, 0, 1, 1]"]
        root["[0, 0, 0, 1, 1]"] = np.ones((1, 1), kind)
    with pytest.raises(ValueError, match="numbers of the type float64"):
        read_calculation(tmp_path / "x")


@pytest.mark.parametrize("format", ["deeph-dock", "container"])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_half_precision(format, kind, tmp_path):
    """Refused; single precision stays as it is."""
    from data_tools.formats import read_calculation
    from data_tools.formats import write_calculation

    known = crystal()
    entries = known.hamiltonian.entries.astype(kind)
    known.hamiltonian = known.hamiltonian.with_entries(entries)
    path = tmp_path / ("x.h5" if format == "container" else "x")
    write_calculation(path, known, format)
    if kind is np.float32:
        assert read_calculation(path).hamiltonian.entries.dtype == kind
        return
    with pytest.raises(ValueError, match="float16; expected float64"):
        read_calculation(path)


@pytest.mark.skipif(
    h5py.version.hdf5_version_tuple[0] > 1, reason="this HDF5 has the type"
)
@pytest.mark.parametrize("format", ["deeph-legacy", "deeph-dock"])
def test_complex_numbers_of_a_newer_hdf5(format, tmp_path):
    """The type of a pair of numbers becomes class 11, version 5."""
    from data_tools.formats import read_calculation
    from data_tools.formats import write_calculation
    from data_tools.spin_blocks import join_spins

    known = crystal()
    matrix = join_spins(known.hamiltonian, known.hamiltonian)
    matrix = matrix.with_entries(matrix.entries.astype(complex))
    known = dataclasses.replace(known, spin="noncollinear", hamiltonian=matrix)
    write_calculation(tmp_path / "x", known, format)
    (file,) = (tmp_path / "x").glob("hamiltonian*.h5")
    data = file.read_bytes()
    pair = b"\x16\x02\0\0\x10\0\0\0"
    assert pair in data
    file.write_bytes(data.replace(pair, b"\x5b" + pair[1:]))
    with pytest.raises(ValueError, match="h5py before 3.16.*convert"):
        read_calculation(tmp_path / "x")


@pytest.mark.parametrize(
    "format", ["deeph-legacy", "deeph-dock", "abacus", "siesta"]
)
def test_files_that_need_a_cell(format, tmp_path):
    from data_tools.formats import write_calculation

    if format == "siesta":
        pytest.importorskip("sisl")
    known = crystal(cells=(0, 0, 0))
    known.atoms.pbc = False
    known.atoms.cell = np.zeros((3, 3))
    with pytest.raises(ValueError, match="has no cell.*center"):
        write_calculation(tmp_path / "x", known, format)
    assert list(tmp_path.iterdir()) == []


DOLLARS = r"a$\foo$b"


def draw_structures(path):
    errors = [{"name": DOLLARS, "mae": 0.1}, {"name": "b", "mae": 0.2}]
    plots.plot_errors_by_structure({DOLLARS: errors, "b": errors}, path)


def draw_bands(path):
    corners = [(0, DOLLARS), (1, f"{DOLLARS}1")]
    line = KPath.from_points(np.eye(2, 3), np.eye(3), corners)
    bands = BandStructure(line, np.zeros((2, 1)), 0.0)
    plots.plot_bands(bands, bands, path, (-1, 1), DOLLARS, (DOLLARS, "DFT"))


def draw_panels(path):
    finish_panels(new_axes(2, 2)[0], DOLLARS, path)


@pytest.mark.parametrize("draw", [draw_structures, draw_bands, draw_panels])
def test_names_with_a_dollar_in_pictures(draw, tmp_path):
    draw(tmp_path / "a.svg")
    count = (tmp_path / "a.svg").read_text().count(f"<!-- {DOLLARS}")
    assert count == {draw_bands: 3, draw_structures: 2}.get(draw, 1)


def test_false_alarms_of_the_doctor(tmp_path):
    from data_tools.check.__main__ import run

    stretched = crystal(
        "H2", [[0, 0, 0], [0.88, 0, 0]], [20, 20, 20], cells=(0, 0, 0)
    )
    chain = crystal("H", [[0, 0, 0]], [4.0, 20, 20], reach=9)
    bohr = crystal(
        "H2", [[0, 0, 0], [1.3, 0, 0]], [20, 20, 20], cells=(0, 0, 0)
    )
    for known, number in ((stretched, 0), (chain, 0), (bohr, 1)):
        path = tmp_path / "set.h5"
        kh.HamiltonianStore.write(path, [known]).close()
        report = run([str(path)])
        assert report["num_errors"] == number, report["structures"]
