"""Runs a page of the documentation, block by block."""

import pathlib
import re
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

from keras_hamiltonian.cli import app

ROOT = pathlib.Path(__file__).parents[1]


def run_page(page, folder):
    """What all blocks of a page print, run in a folder one after the other."""
    for name in ("recipes", "tests"):
        (folder / name).symlink_to(ROOT / name)
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.M | re.S)
    assert {language for language, _ in blocks} == {"sh", "python"}
    printed, names = [], {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for language, block in blocks:
            if language == "python":
                exec(compile(block, str(page), "exec"), names)
                continue
            for line in block.replace("\\\n", " ").splitlines():
                printed.append(_run_line(line))
    return "\n".join(printed)


def _run_line(line):
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
