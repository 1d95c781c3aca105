"""Bad input: one message, a code, and nothing half written."""

import pathlib
import subprocess
import sys

import ase
import pytest
from typer.testing import CliRunner

import keras_hamiltonian as kh
from keras_hamiltonian.cli import app

DATA = pathlib.Path(__file__).parents[2] / "recipes" / "data"
GRAPHENE = DATA / "graphene.h5"
CELL = DATA / "reference_graphene.h5"
MOS2 = DATA / "reference_mos2.h5"
TEXT = DATA / "README.md"

# Words of the command, exit code, words of the message.
CASES = {
    "convert: no such path": ("convert nothing a.h5", 1, "does not exist"),
    "convert: no data": (f"convert {TEXT} a.h5", 1, "nothing that can be read"),
    "convert: what?": (f"convert {CELL} a", 1, "--format"),
    "convert: format": (f"convert {CELL} a --format b", 1, "Formats to write"),
    "convert: export": (f"convert {CELL} a.npz --format npz", 1, "export"),
    "convert: option": (
        f"convert {CELL} a.h5 --compression 10",
        2,
        "--compression",
    ),
    "convert: clash": (
        f"convert {CELL} a --format abacus --compression 1",
        1,
        "belong to containers",
    ),
    "convert: no prediction": (
        f"convert {CELL} a.h5 --predictions",
        1,
        "nothing that can be read",
    ),
    "check: folder": (f"check {CELL} --json .", 1, "--json names a file"),
    "check: no such path": ("check nothing", 2, "does not exist"),
    "train: no data": ("train", 2, "container"),
    "train: no such path": ("train nothing --steps 1", 1, "does not exist"),
    "train: no container": (f"train {TEXT} --steps 1", 1, "HDF5"),
    "train: one structure": (f"train {CELL} --steps 1", 1, "left to test on"),
    "train: split": (f"train {GRAPHENE} --split a.json", 1, "no split file"),
    "train: other split": (
        f"train {MOS2} --split {GRAPHENE.with_suffix('.split.json')}",
        1,
        "not in the data",
    ),
    "train: stage": ("train --second-stage third", 1, "'equivariant' or"),
    "train: own stage": ("train --first-stage no:A", 1, "no module 'no'"),
    "train: value": ("train --steps 0", 1, "`steps`: Input should be greater"),
    "train: unknown": ("train --set stpes=3", 1, "Did you mean 'steps'"),
    "train: set": ("train --set steps", 1, "KEY=VALUE"),
    "train: settings": ("train --settings no.yaml", 1, "no.yaml"),
    "evaluate: model": (f"evaluate no.keras {CELL}", 1, "no.keras"),
    "evaluate: data": ("evaluate MODEL nothing", 1, "does not exist"),
    "evaluate: element": (f"evaluate MODEL {MOS2}", 1, "also has Mo, S"),
    "evaluate: no split": (
        f"evaluate MODEL {CELL} --part test",
        1,
        "needs a split",
    ),
    "evaluate: name": (f"evaluate MODEL {CELL} --name b", 1, "no structure b"),
    "evaluate: part": (f"evaluate MODEL {CELL} --part half", 2, "validate"),
    "predict: device": (
        f"predict MODEL {CELL} --device gpu:7",
        1,
        "sees the devices cpu:0",
    ),
    "predict: dtype": (f"predict MODEL {CELL} --dtype float16", 2, "float64"),
    "predict: no such path": ("predict MODEL new.cif", 1, "does not exist"),
    "predict: model": (f"predict {CELL} {CELL}", 1, "is no model"),
    "predict: element": (f"predict MODEL {MOS2}", 1, "also has Mo, S"),
    "predict: structure": (f"predict MODEL {TEXT}", 1, "README.md"),
    "predict: format": (
        "predict no.keras nothing --format b",
        2,
        "Formats of predictions: deeph",
    ),
    "predict: memory": (
        "predict no.keras nothing --memory much",
        2,
        "such as 4GB",
    ),
    "predict: twice": (f"predict MODEL {CELL} {CELL}", 1, "one name"),
    "predict: name": (f"predict MODEL {CELL} --name b", 1, "no structure b"),
    "bands: no such path": ("bands nothing", 1, "does not exist"),
    "bands: which": (f"bands {GRAPHENE}", 1, "--name: 000, 001"),
    "bands: no overlap": (f"bands {GRAPHENE} --name 005", 1, "no `overlap`"),
    "bands: path": (f"bands {MOS2} --path GXK", 1, "names X"),
    "bands: window": (f"bands {MOS2} --window 1 -1", 2, "low to high"),
    "bands: suffix": (f"bands {MOS2} -o a.txt", 1, ".json or .npz"),
    "bands: element": (f"bands {MOS2} --model MODEL", 1, "also has Mo, S"),
    "bands: device": (f"bands {CELL} --device cpu", 2, "--model as well"),
    "dos: no such path": ("dos nothing", 1, "does not exist"),
    "dos: broadening": (f"dos {MOS2} --broadening 0", 2, "positive"),
    "dos: method": (f"dos {MOS2} --method simpson", 2, "tetrahedron"),
    "dos: grid": (f"dos {MOS2} --grid 0 1 1", 1, "three positive sizes"),
    "dos: workers": (f"dos {MOS2} --workers 0", 2, "--workers"),
    "export: what?": (f"export {CELL} a", 1, "--format"),
    "export: no grid": (f"export {CELL} a_hr.dat", 1, "--grid 12 12 1"),
    "export: clash": (f"export {CELL} a.npz --cutoff 1", 1, "wannier90"),
    "export: format": (f"export {CELL} a --format openmx", 1, "cannot do that"),
    "export: no overlap": (
        f"export {GRAPHENE} a.HSX --name 005",
        1,
        "overlap",
    ),
    "export: no such path": ("export nothing a.npz", 1, "does not exist"),
    "explain: no such path": ("explain MODEL nothing", 1, "does not exist"),
    "explain: name": (f"explain MODEL {CELL} --name b", 1, "no structure b"),
    "explain: split": (
        f"explain MODEL {CELL} --split a.json",
        1,
        "a.json",
    ),
    "explain: pair": (f"explain MODEL {CELL} --pair 0 x", 2, "--pair"),
}


def test_atoms_that_a_structure_has_not():
    """As in `explain --pair 0 99`."""
    for pair in ((0, 99), (-1, 0)):
        with pytest.raises(ValueError, match="has the atoms 0 to 1"):
            kh.explain.BlockTarget(*pair).center(ase.Atoms("C2"))


def test_the_way_out_is_one_that_the_command_has(command, folder):
    (folder / "report").write_text("")
    said = command("evaluate", "graphene", str(CELL), "-o", "report", code=1)
    assert "Choose another name, or remove it." in said.stderr
    said = command("split", str(GRAPHENE), "-o", "report", code=1)
    assert "or replace it with --overwrite." in said.stderr


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case, command, folder, untrained_file):
    if "HSX" in case or "HSX" in CASES[case][0]:
        pytest.importorskip("sisl")
    words, code, message = CASES[case]
    words = words.replace("MODEL", str(untrained_file)).split(" ")
    result = command(*words, code=code)
    assert message in result.stderr
    if code == 1:
        assert "\nError: " in f"\n{result.stderr}"
    assert not list(folder.rglob("*.*")), "something was left behind"


@pytest.mark.parametrize(
    "words",
    [
        f"convert {CELL} there.h5",
        f"bands {MOS2} -o there.npz --points 2",
        f"bands {MOS2} -o picture.npz --points 2",
        f"dos {MOS2} -o there.json",
        f"export {CELL} there.npz",
    ],
)
def test_files_are_replaced_on_demand_alone(words, command, folder):
    files = ["there.h5", "there.npz", "there.json", "picture.png"]
    for name in files:
        (folder / name).write_text("mine")
    result = command(*words.split(" "), code=1)
    assert "exists. Choose another name" in result.stderr
    assert all((folder / name).read_text() == "mine" for name in files)
    command(*words.split(" "), "--overwrite")
    left = {p.name for p in folder.iterdir() if p.read_bytes() == b"mine"}
    assert len(left) in (2, 3)


@pytest.mark.parametrize(
    "words",
    [
        f"convert {CELL} there --format deeph-legacy",
        f"export {CELL} there --format deeph-legacy",
        f"predict MODEL {CELL} -o .",
        f"evaluate MODEL {CELL} -o there",
    ],
)
def test_folders_are_never_mixed(words, command, folder, untrained_file):
    for name in ("there", "000"):
        (folder / name).mkdir()
        (folder / name / "mine").write_text("mine")
    words = words.replace("MODEL", str(untrained_file)).split(" ")
    assert "mine" not in command(*words, code=1).stdout
    assert sorted(p.name for p in folder.rglob("*")) == [
        "000",
        "mine",
        "mine",
        "there",
    ]


def test_debug_shows_where():
    for words in (["--debug", "bands", "no"], ["bands", "no", "--debug"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 1
        assert isinstance(result.exception, ValueError)
        assert "does not exist" in str(result.exception)


def test_an_error_while_writing_leaves_nothing(command, folder, monkeypatch):
    def fail(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(kh.plots, "plot_bands", fail)
    result = command("bands", MOS2, "--points", 2, code=1)
    assert result.stderr == "Error: No space left on device\n"
    assert not list(folder.iterdir())


def test_completion_where_nothing_can_be_written(command, monkeypatch):
    def install(**_):
        raise PermissionError(13, "Permission denied", "/home/a/.bashrc")

    monkeypatch.setattr("typer.completion.install", install)
    result = command("--install-completion", code=1)
    assert result.stderr == "Error: /home/a/.bashrc: Permission denied.\n"


def test_the_installed_command():
    """Its entry point, and its exit code outside of the test runner."""
    code = (
        "from importlib.metadata import EntryPoint; EntryPoint("
        "'', 'keras_hamiltonian.cli:main', 'console_scripts').load()()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "bands", "nothing"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    # A slow machine also hears that the command is at work.
    assert done.stderr.endswith("Error: nothing does not exist.\n")
