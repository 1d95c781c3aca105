"""A few kills; `tests/robustness/kills.py` takes hundreds, of every command."""

import pathlib
import subprocess
import sys

import pytest

KILLS = pathlib.Path(__file__).with_name("kills.py")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_conversion_loses_nothing():
    done = subprocess.run(
        [sys.executable, KILLS, "--number", "5", "--jobs", "convert"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    name, *_, kills, _, lost, different, left, errors = (
        done.stdout.splitlines()[-1].split()
    )
    assert (name, kills) == ("convert", "5")
    assert [lost, different, left, errors] == ["0"] * 4
