"""A few damaged files of every format; `make fuzz` takes thousands."""

import pathlib
import subprocess
import sys

import pytest

FUZZ = pathlib.Path(__file__).with_name("fuzz.py")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_damaged_files_are_read_or_refused():
    done = subprocess.run(
        [sys.executable, FUZZ, "--number", "100", "--seed", "7"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 files in" in done.stdout
