"""Runs of CP2K in `tests/data`, unpacked, and what it printed."""

import pathlib
import re
import tarfile

import numpy as np

DATA = pathlib.Path(__file__).parent / "data"


def unpack(name, folder):
    """The folder of a run."""
    with tarfile.open(DATA / f"cp2k_{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name


def printed_bands(run):
    """Spin, wave vector and levels in eV of each point of the bands."""
    points = []
    for line in next(run.glob("*.bs")).read_text().splitlines():
        words = re.sub("[#:]|Spin|Point", " ", line).split()
        if line.startswith("#  Point"):
            k_point = np.array(words[2:5], float)
            points.append((int(words[1]), k_point, []))
        elif points and not line.startswith("#"):
            points[-1][2].append(float(words[1]))
    return points


def printed_levels(run):
    """Levels in eV of a run without k points."""
    text = next(run.glob("*.out")).read_text().split("MO|  Index")[-1]
    return [float(x) for x in re.findall(r"MO\| +\d+ +\S+ +(\S+) +\S+\n", text)]
