"""Help that answers at once and teaches; options that agree with settings."""

import subprocess
import sys

import pytest
import typer

from keras_hamiltonian.cli import app
from keras_hamiltonian.training import TrainingSettings

COMMANDS = typer.main.get_command(app).commands


def test_help_loads_no_framework():
    code = (
        "import sys\n"
        "from keras_hamiltonian.cli import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = {'keras', 'torch', 'jax', 'tensorflow', 'scipy', 'h5py'}\n"
        "print('loaded', sorted(heavy & set(sys.modules)))\n"
    )
    for words in (["--help"], ["train", "--help"], ["--version"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "loaded []"


def test_calculations_need_no_framework(data_folder, tmp_path):
    code = (
        "import sys\n"
        "from keras_hamiltonian.cli import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "print('loaded', 'keras' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "bands", "--points", "3"]
        + [str(data_folder / "reference_mos2.h5")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines()[-1] == "loaded False"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_every_default(name, command):
    text = command(name, "--help").output
    assert f"\n    keras-hamiltonian {name} " in text
    for parameter in COMMANDS[name].params:
        if parameter.required or parameter.param_type_name == "argument":
            continue
        is_told = parameter.show_default and parameter.default is not None
        is_told = is_told or getattr(parameter, "is_flag", False)
        is_told = is_told or parameter.name in ("help", "change")
        is_told = is_told or "efault" in parameter.help
        is_told = is_told or "instead of" in parameter.help
        assert is_told, f"{parameter.name}: {parameter.help}"


def test_defaults_in_help_are_those_of_the_settings():
    settings = TrainingSettings()
    parameters = {p.name: p.help for p in COMMANDS["train"].params}
    for name in ("seconds", "second_stage", "first_share", "batch_size"):
        value = getattr(settings, name)
        shown = value if isinstance(value, str) else f"{value:g}"
        assert f"Default: {shown}." in parameters[name]
    assert f"Default: {settings.seed}." in parameters["seed"]


def test_no_arguments_show_the_help(command):
    assert "Commands:" in command(code=2).output
