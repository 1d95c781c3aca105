"""Every command on a full disk, and where nothing can be written.

A limit of file sizes stands for the full disk: each file ends with EFBIG. A
file where a folder is expected stands for the folder without permission,
which does not exist for root.
"""

import os
import sys

import pytest
import typer
from largest_file import largest_file
from small_crystals import crystal
from small_stages import small_stage
from small_training import TINY
from small_training import small_set
from species_writers import write_ion_xml
from typer.testing import CliRunner

import keras_hamiltonian as kh
from keras_hamiltonian.cli import app

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "torch" or sys.platform != "linux",
    reason="processes are forked, with limits of Linux",
)
# What each command writes to, and the words that make it.
COMMANDS = {
    "convert": ("new.h5", "convert {data} {target} --overwrite"),
    "convert to DeepH": (
        "new",
        "convert {data} {target} --format deeph-legacy",
    ),
    "check": ("new.json", "check {data} --json {target}"),
    "train": ("new/set.keras", "train {data} --settings {settings} -o {new}"),
    "evaluate": (
        "new/report.json",
        "evaluate {graphene_model} {graphene} -o {new}",
    ),
    "split": ("new.json", "split {data} -o {target} --overwrite"),
    "predict": ("new/x", "predict {model} {atoms} -o {new} --uncertainty"),
    "predict npz": (
        "new/x.npz",
        "predict {model} {atoms} -o {new} --format npz --overwrite",
    ),
    "bands": ("new.npz", "bands {npz} --path GX -o {target} --overwrite"),
    "dos": ("new.npz", "dos {npz} --grid 2 1 1 -o {target} --overwrite"),
    "optics": ("new.npz", "optics {npz} --grid 2 1 1 -o {target} --overwrite"),
    "export": ("new.HSX", "export {npz} {target} --overwrite"),
    "export hr": (
        "new_hr.dat",
        "export {npz} {target} --grid 5 1 1 --overwrite",
    ),
    "zeroth": (
        "new.h5",
        "zeroth {h2} --species {species} --functional PZ81 -o {target} "
        "--overwrite",
    ),
    "twist": (
        "new.xyz",
        "twist {graphene} --cell 1 2 -o {target} --overwrite",
    ),
    "propose": (
        "new.extxyz",
        "propose {model} {atoms} -n 1 --known {data} -o {new}",
    ),
    "propose inputs": (
        "new/x/x.fdf",
        "propose {model} {atoms} -n 1 --known {data} --template {fdf} -o {new}",
    ),
}
# Its full disk is in tests/cli/test_explain_command.py.
EXPLAIN = {"explain": ("new/map.png", "explain {model} {atoms} -o {new}")}
INPUT = """
SystemLabel old
NumberOfSpecies 2
%block ChemicalSpeciesLabel
  1  1 H
  2  2 He
%endblock ChemicalSpeciesLabel
LatticeConstant 9 Ang
NumberOfAtoms 1
%block AtomicCoordinatesAndAtomicSpecies
 0 0 0 1
%endblock AtomicCoordinatesAndAtomicSpecies
SaveHS true
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, untrained_file, data_folder):
    """Paths of data, model, settings and a structure."""
    folder = tmp_path_factory.mktemp("inputs")
    store = small_set(folder / "set.h5")
    stage = small_stage(store)
    stage.error_estimate = kh.evaluation.fit_error_estimate(
        stage, [store["000"], store["001"]], [store["002"]]
    )
    stage.save(folder / "model.keras")
    (folder / "old.fdf").write_text(INPUT)
    settings = kh.training.TrainingSettings(**TINY).model_dump_json(
        exclude_none=True, exclude={"seconds"}
    )
    (folder / "settings.yaml").write_text(settings)
    store["000"].atoms.write(folder / "x.xsf")
    positions = (0.1, 1, 1), (1.0, 1, 1)
    crystal("H2", positions, (9, 9, 9)).atoms.write(folder / "h2.xsf")
    (folder / "species").mkdir()
    write_ion_xml(folder / "species", "H")
    kh.ElectronicStructure(crystal()).write(folder / "x.npz")
    return {
        "data": store.path,
        "model": folder / "model.keras",
        "settings": folder / "settings.yaml",
        "atoms": folder / "x.xsf",
        "npz": folder / "x.npz",
        "h2": folder / "h2.xsf",
        "species": folder / "species",
        "fdf": folder / "old.fdf",
        "graphene_model": untrained_file,
        "graphene": data_folder / "reference_graphene.h5",
    }


def outcome(words, size=None):
    """Exit code and what is printed by a command in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with largest_file(size):
                found = CliRunner().invoke(app, words)
            os.write(writing, found.output.encode()[-5000:])
            code = found.exit_code
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as text:
        said = text.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), said


def words_of(command, inputs, folder):
    name, words = (COMMANDS | EXPLAIN)[command]
    target = folder / name
    names = {**inputs, "target": target, "new": folder / "new"}
    return target, words.format(**names).split()


def test_all_commands_are_here():
    words = {words.split()[0] for _, words in (COMMANDS | EXPLAIN).values()}
    assert words == set(typer.main.get_command(app).commands)


def check_refusal(code, said, folder):
    assert code == 1, said
    errors = [x for x in said.splitlines() if x.startswith("Error: ")]
    assert len(errors) == 1 and "report it" not in said, said
    assert "Traceback" not in said
    assert str(folder) in errors[0]
    return errors[0]


@pytest.mark.parametrize("size", [0, 1500])
@pytest.mark.parametrize("command", COMMANDS)
def test_full_disk(command, size, inputs, tmp_path):
    target, words = words_of(command, inputs, tmp_path)
    old = None
    if "--overwrite" in words:
        old = b"old"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(old)
    code, said = outcome(words, size)
    if code == 0:  # a short file
        assert size and target.stat().st_size <= size
        return
    error = check_refusal(code, said, tmp_path)
    assert "disk" in error
    assert (target.read_bytes() if target.exists() else None) == old
    left = [p for p in tmp_path.rglob(".*") if p.suffix != ".lock"]
    assert not left


@pytest.mark.parametrize("command", [*COMMANDS, *EXPLAIN])
def test_nothing_can_be_written(command, inputs, tmp_path):
    (tmp_path / "file").write_text("is no folder")
    _, words = words_of(command, inputs, tmp_path / "file")
    code, said = outcome(words)
    error = check_refusal(code, said, tmp_path / "file")
    assert "Errno" not in error
    assert (tmp_path / "file").read_text() == "is no folder"
