"""OpenMX's species files, which do not come with the package."""

import os
import pathlib
import tarfile

import pytest

# Beside a checkout, where they may lie.
ARCHIVE = pathlib.Path(__file__).parents[2] / (
    "shared/data/openmx/species.tar.xz"
)
ORBITALS = {
    "C": "C6.0-s2p2d1",
    "Mo": "Mo7.0-s3p2d2",
    "S": "S7.0-s2p2d1",
    "Bi": "Bi8.0-s3p2d2",
    "Se": "Se7.0-s3p2d2",
    "Te": "Te7.0-s3p2d2",
}


def find_species(tmp_path_factory):
    """Folder with the files: `KH_SPECIES`, or unpacked; else skips."""
    if "KH_SPECIES" in os.environ:
        return pathlib.Path(os.environ["KH_SPECIES"])
    if not ARCHIVE.is_file():
        pytest.skip("needs OpenMX's species files: set KH_SPECIES")
    folder = tmp_path_factory.mktemp("species")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.rglob("*.pao")).parent
