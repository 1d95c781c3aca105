"""DeepH folders of both layouts: reading and writing."""

import pathlib

from data_tools.deeph_chunked import CHUNKED_FILES
from data_tools.deeph_chunked import read_chunked
from data_tools.deeph_chunked import write_chunked
from data_tools.deeph_legacy import LEGACY_FILES
from data_tools.deeph_legacy import PredictionReport
from data_tools.deeph_legacy import read_legacy
from data_tools.deeph_legacy import write_legacy
from data_tools.deeph_legacy import write_prediction

__all__ = [
    "CHUNKED_FILES",
    "LEGACY_FILES",
    "PredictionReport",
    "read_chunked",
    "read_deeph",
    "read_legacy",
    "write_chunked",
    "write_legacy",
    "write_prediction",
]


def read_deeph(folder, files=None):
    """Reads a DeepH folder of either layout, told apart by its files.

    Args:
        folder: str or path. With `element.dat` it is a legacy folder, with
            `POSCAR` one of DeepH-dock.
        files: dict or `None`. Matrix file names, see `read_legacy` and
            `read_chunked`.

    Returns:
        `Calculation`.

    Raises:
        ValueError: if the folder is of neither layout, of both, or its files
            do not hold what they should.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder.")
    is_legacy = (folder / "element.dat").is_file()
    is_chunked = (folder / "POSCAR").is_file()
    if is_legacy and is_chunked:
        # A POSCAR often lies beside a calculation: the matrices decide.
        is_legacy = _has_matrix(folder, LEGACY_FILES)
        is_chunked = _has_matrix(folder, CHUNKED_FILES)
    if is_legacy and is_chunked:
        raise ValueError(
            f"{folder} holds the matrices of both DeepH layouts. Call "
            "`read_legacy` or `read_chunked`."
        )
    if not is_legacy and not is_chunked:
        raise ValueError(
            f"{folder} is no DeepH folder: expected element.dat and "
            f"{LEGACY_FILES['hamiltonian']} (legacy), or POSCAR and "
            f"{CHUNKED_FILES['hamiltonian']} (DeepH-dock)."
        )
    read = read_legacy if is_legacy else read_chunked
    return read(folder, files)


def _has_matrix(folder, names):
    return any((folder / name).is_file() for name in names.values())
