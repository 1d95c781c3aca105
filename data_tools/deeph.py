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
    "find_layouts",
    "read_chunked",
    "read_deeph",
    "read_legacy",
    "write_chunked",
    "write_legacy",
    "write_prediction",
]


def read_deeph(folder, files=None):
    """Reads a DeepH folder; its files show which of the layouts it has.

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
    layouts = find_layouts(folder)
    if len(layouts) == 2:
        raise ValueError(
            f"{folder} holds the matrices of both DeepH layouts. Call "
            "`read_legacy` or `read_chunked`."
        )
    if not layouts:
        raise ValueError(
            f"{folder} is no DeepH folder: expected element.dat and "
            f"{LEGACY_FILES['hamiltonian']} (legacy), or POSCAR and "
            f"{CHUNKED_FILES['hamiltonian']} (DeepH-dock)."
        )
    read = read_legacy if layouts == ["legacy"] else read_chunked
    return read(folder, files)


def find_layouts(folder):
    """The DeepH layouts whose files a folder holds.

    Args:
        folder: str or path.

    Returns:
        List out of `"legacy"` and `"chunked"`; empty if it is no DeepH folder.
        Both if it has matrices of both.
    """
    folder = pathlib.Path(folder)
    marks = {"legacy": "element.dat", "chunked": "POSCAR"}
    layouts = [name for name in marks if (folder / marks[name]).is_file()]
    if len(layouts) == 2:
        # Many calculations come with a POSCAR: the matrices decide.
        files = {"legacy": LEGACY_FILES, "chunked": CHUNKED_FILES}
        layouts = [name for name in files if _has_matrix(folder, files[name])]
    return layouts


def _has_matrix(folder, names):
    return any((folder / name).is_file() for name in names.values())
