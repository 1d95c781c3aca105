"""All formats that can be read or written, and how each is recognised.

| name | what | read | write | recognised by |
|---|---|---|---|---|
| `container` | this package's HDF5 file | yes | yes | attribute `format` |
| `deeph-legacy` | DeepH folder | yes | yes | `element.dat` |
| `deeph-dock` | DeepH-dock folder | yes | yes | `POSCAR` with `info.json` |
| `openmx` | OpenMX 3.9, 4.0 | yes | no | `*.scfout`, `*.scfout.gz` |
| `siesta` | SIESTA 5, needs sisl | yes | yes | `*.HSX` |
| `abacus` | ABACUS 3.9.0.25 and later | yes | yes | `hrs1_nao.csr` |
| `abacus-legacy` | ABACUS up to 3.8 | yes | yes | `data-HR-sparse_SPIN0.csr` |
| `fhi-aims` | FHI-aims | yes | no | `rs_indices.out` |
| `cp2k` | CP2K 2023.1 and later | yes | no | `*-S_SPIN_1*.csr` |
| `npz` | sparse H(R) in a NumPy archive | yes | yes | key `format` |
| `hamgnn` | HamGNN's graphs | yes | no | `*.npz` with the key `graph` |
| `qh9` | molecules of QH9 | yes | no | `*.db`, column `Ham` |
| `wannier90` | `_hr.dat` with `.win` | yes | yes | `*_hr.dat`, `.win` |

A folder of such files or folders means all of them.

Example:

>>> print(*FORMATS)  # doctest: +NORMALIZE_WHITESPACE
container deeph-legacy deeph-dock openmx siesta abacus
abacus-legacy fhi-aims cp2k npz hamgnn qh9 wannier90
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import h5py

from data_tools.abacus import find_output
from data_tools.abacus import read_abacus
from data_tools.abacus import write_abacus
from data_tools.aims import INDICES
from data_tools.aims import read_aims
from data_tools.cp2k import read_cp2k
from data_tools.cp2k_csr import is_cp2k
from data_tools.deeph import CHUNKED_FILES
from data_tools.deeph import find_layouts
from data_tools.deeph import read_chunked
from data_tools.deeph import read_legacy
from data_tools.deeph import write_chunked
from data_tools.deeph import write_legacy
from data_tools.hamgnn import hamgnn_structures
from data_tools.hamgnn import is_hamgnn
from data_tools.hamgnn import read_hamgnn
from data_tools.npz import is_npz
from data_tools.npz import read_npz
from data_tools.npz import write_npz
from data_tools.openmx import read_scfout
from data_tools.plausibility import plausible
from data_tools.qh9 import is_qh9
from data_tools.qh9 import qh9_structures
from data_tools.qh9 import read_qh9
from data_tools.search import RESEMBLANCES
from data_tools.search import chosen
from data_tools.search import matching
from data_tools.search import sources_of
from data_tools.siesta import read_siesta
from data_tools.siesta import write_siesta
from data_tools.wannier90 import export_wannier90
from data_tools.wannier90_input import win_place
from data_tools.wannier90_reader import read_wannier90
from keras_hamiltonian.data.store import FORMAT
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.hdf5_files import open_hdf5
from keras_hamiltonian.reading import reader
from keras_hamiltonian.reading import reading


@dataclasses.dataclass(frozen=True)
class Format:
    """How one program keeps a calculation.

    Attributes:
        name: str. What commands and functions call it.
        title: str. Program and kind of file.
        mark: str. What it is recognised by, in words.
        matches: function from a path to whether it is of this format; `None`
            if it cannot be read.
        read: function `(path, **options)` to a `Calculation`, or `None`.
        write: function `(path, calculation, **options)`, or `None`.
        endings: tuple of str. Endings of file names; empty if a calculation
            is a folder.
        structures: function from a path to a dict of names and functions
            `(**options)` that read them, where a file holds several.
    """

    name: str
    title: str
    mark: str
    matches: Callable | None = None
    read: Callable | None = None
    write: Callable | None = None
    endings: tuple = ()
    structures: Callable | None = None


def find_sources(path, format=None, strict=False):
    """Structures at or below a path; nothing large is read yet.

    A folder that is itself a calculation is not searched further, a hidden
    one not at all. Folders called `initial` hold no structures of their own: a
    run in `initial/x` gives `x` beside the folder its H⁰, one in `x/initial`
    the folder `x`.

    Args:
        path: str or path. Something of a known format, or a folder that holds
            such things at any depth.
        format: str. Takes this format only. Defaults to all.
        strict: bool. Raises an error where something below the path looks
            like a calculation and cannot be read. Defaults to a warning.

    Returns:
        List of `Source`, not empty, in the order of their paths.

    Raises:
        ValueError: if there is nothing of these formats.
    """
    wanted = [f for f in FORMATS.values() if f.matches]
    if format is not None:
        wanted = [known_format(format, "read")]
    # Files of other formats are not those that are asked for.
    resemblances = RESEMBLANCES if format is None else {}
    return sources_of(path, wanted, strict, resemblances)


def detect_format(path):
    """Name of the format of a file or folder, `None` if of none.

    Raises:
        ValueError: if it is of several.
    """
    found = matching(pathlib.Path(path), FORMATS.values())
    return found.name if found else None


def ending_format(path):
    """Name of the format to write that a file's name tells, or `None`."""
    name = pathlib.Path(path).name
    for known in FORMATS.values():
        if known.write and known.endings and name.endswith(known.endings):
            return known.name
    return None


def read_calculation(path, format=None, name=None, **options):
    """Reads one calculation; its files show the format.

    Args:
        path: str or path. See `find_sources`.
        format: str. A name of `FORMATS`. Defaults to that of the files.
        name: str. Which structure, where the path holds several.
        **options: of the format's reader, for example `output` of OpenMX.

    Returns:
        `Calculation`.

    Raises:
        ValueError: if there is no structure, or several and no `name`, or it
            cannot be read; the message names the file.
    """
    sources = find_sources(path, format)
    _, source = chosen(path, [(s.name, s) for s in sources], name)
    return read_source(source, **options)


def read_source(source, **options):
    """Reads a `Source`; errors name its file and the way out.

    Raises:
        ValueError: if it cannot be read, the reader has no such option, or
            no program computes what it says (see `check_plausible`).
    """
    with reading(source.file, f"structure {source.name}"):
        return source.read(**options)


def write_calculation(path, calculation, format, **options):
    """Writes one calculation in a format.

    Args:
        path: str or path. File, or folder where the format is one.
        calculation: `Calculation`.
        format: str. A name of `FORMATS`.
        **options: of the format's writer.

    Raises:
        ValueError: if the format is unknown, cannot be written, or cannot hold
            the calculation.
    """
    known_format(format, "write").write(
        pathlib.Path(path), calculation, **options
    )


def known_format(name, ability):
    """The `Format` of a name that has a reader or a writer.

    Args:
        name: str.
        ability: str. `"read"` or `"write"`.

    Raises:
        ValueError: if it has none.
    """
    able = [f.name for f in FORMATS.values() if getattr(f, ability)]
    if name not in able:
        reason = "cannot do that" if name in FORMATS else "is unknown"
        raise ValueError(
            f"The format {name!r} {reason}. Formats to {ability}: "
            f"{', '.join(able)}."
        )
    return FORMATS[name]


def _container_structures(path):
    store = HamiltonianStore(path)
    return {
        name: functools.partial(_read_stored, path, store, name)
        for name in store.names
    }


@reader
@plausible
def _read_stored(path, store, name):
    return store[name]


def _read_container(path):
    _, read = chosen(path, list(_container_structures(path).items()), None)
    return read()


def _write_container(path, calculation, **options):
    HamiltonianStore.write(path, [calculation], **options)


def _write_wannier90(path, calculation, **options):
    if "grid" not in options:
        raise ValueError(
            "A wannier90 file is made on a grid of wave vectors; give its "
            "sizes as the option `grid`, for example (12, 12, 1)."
        )
    export_wannier90(calculation, path, **options)


def _is_wannier90(path):
    is_matrix = path.is_file() and path.name.endswith("_hr.dat")
    return is_matrix and win_place(path).is_file()


def _is_container(path):
    if path.suffix not in (".h5", ".hdf5") or not path.is_file():
        return False
    if not h5py.is_hdf5(path):
        return False
    with reading(path), open_hdf5(path) as root:
        return root.attrs.get("format") == FORMAT


def _is_legacy(path):
    return path.is_dir() and "legacy" in find_layouts(path)


def _is_dock(path):
    # A POSCAR alone is not enough: many programs' folders have one.
    names = ("info.json", *CHUNKED_FILES.values())
    return (
        path.is_dir()
        and "chunked" in find_layouts(path)
        and any((path / name).is_file() for name in names)
    )


def _has_output(path, layout):
    return find_output(path, layout) is not None


def _has_indices(path):
    return (path / INDICES).is_file()


def _ends_with(path, endings):
    return path.is_file() and path.name.endswith(endings)


_SCFOUT = (".scfout.gz", ".scfout")
FORMATS = {
    format.name: format
    for format in (
        Format(
            "container",
            "HDF5 file of this package",
            "HDF5 written by HamiltonianStore",
            _is_container,
            _read_container,
            _write_container,
            (".h5",),
            _container_structures,
        ),
        Format(
            "deeph-legacy",
            "DeepH folder",
            "folder with element.dat",
            _is_legacy,
            read_legacy,
            write_legacy,
        ),
        Format(
            "deeph-dock",
            "DeepH-dock folder",
            "folder with POSCAR and info.json or *.h5",
            _is_dock,
            read_chunked,
            write_chunked,
        ),
        Format(
            "openmx",
            "OpenMX 3.9, 4.0",
            "*.scfout, plain or gzipped",
            functools.partial(_ends_with, endings=_SCFOUT),
            read_scfout,
            None,
            _SCFOUT,
        ),
        Format(
            "siesta",
            "SIESTA 5, needs sisl",
            "*.HSX",
            functools.partial(_ends_with, endings=(".HSX",)),
            read_siesta,
            write_siesta,
            (".HSX",),
        ),
        Format(
            "abacus",
            "ABACUS 3.9.0.25 and later",
            "folder with (an OUT.* with) hrs1_nao.csr",
            functools.partial(_has_output, layout="new"),
            read_abacus,
            functools.partial(write_abacus, layout="new"),
        ),
        Format(
            "abacus-legacy",
            "ABACUS up to 3.8",
            "folder with (an OUT.* with) data-HR-sparse_SPIN0.csr",
            functools.partial(_has_output, layout="old"),
            read_abacus,
            functools.partial(write_abacus, layout="old"),
        ),
        Format(
            "fhi-aims",
            "FHI-aims",
            f"folder with {INDICES}",
            _has_indices,
            read_aims,
        ),
        Format(
            "cp2k",
            "CP2K 2023.1 and later",
            "folder with *-KS_SPIN_1*.csr and *-S_SPIN_1*.csr",
            is_cp2k,
            read_cp2k,
        ),
        Format(
            "npz",
            "sparse H(R) in a NumPy archive",
            "*.npz with the key `format`",
            is_npz,
            read_npz,
            write_npz,
            (".npz",),
        ),
        Format(
            "hamgnn",
            "HamGNN's graphs",
            "*.npz with the key `graph`",
            is_hamgnn,
            read_hamgnn,
            structures=hamgnn_structures,
        ),
        Format(
            "qh9",
            "molecules of QH9",
            "*.db with a table of N, Z, pos and Ham",
            is_qh9,
            read_qh9,
            structures=qh9_structures,
        ),
        Format(
            "wannier90",
            "wannier90",
            "*_hr.dat with its .win",
            _is_wannier90,
            read_wannier90,
            _write_wannier90,
            ("_hr.dat",),
        ),
    )
}
