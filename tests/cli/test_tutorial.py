"""The tutorial does what it says, block by block."""

import pathlib
import re
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

from keras_hamiltonian.cli import app

ROOT = pathlib.Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"


def run_line(line):
    """One line of a shell block; the command runs in this process."""
    words = shlex.split(line)
    if words[0] != "keras-hamiltonian":
        subprocess.run(line, shell=True, check=True)
        return ""
    target = None
    if ">" in words:
        words, (target,) = words[: words.index(">")], words[-1:]
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, f"{line}\n{result.output}"
    if target:
        pathlib.Path(target).write_text(result.stdout)
    return result.stdout


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The folder after all blocks, and what they printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in ("recipes", "tests"):
        (folder / name).symlink_to(ROOT / name)
    text = TUTORIAL.read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    assert {language for language, _ in blocks} == {"sh", "python"}
    printed, names = [], {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for language, block in blocks:
            if language == "python":
                exec(compile(block, str(TUTORIAL), "exec"), names)
                continue
            for line in block.replace("\\\n", " ").splitlines():
                printed.append(run_line(line))
    return folder, "\n".join(printed)


@pytest.mark.slow
def test_promised_files_are_there(tutorial):
    folder, _ = tutorial
    promised = set(re.findall(r"tutorial/[\w./-]+", TUTORIAL.read_text()))
    missing = [name for name in promised if not (folder / name).exists()]
    assert len(promised) > 15 and not missing


@pytest.mark.slow
def test_commands_say_what_the_text_says(tutorial):
    _, printed = tutorial
    for words in ("1 clean", "bands meet the Fermi level", "MAE_cha", "off by"):
        assert words in printed
    # No block, and no command, was left out.
    assert printed.count("Fermi level: ") == 4


def test_lines_are_few():
    assert len(TUTORIAL.read_text().splitlines()) <= 130
