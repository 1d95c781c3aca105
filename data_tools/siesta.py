"""SIESTA's `*.HSX` files (`SaveHS true`), through sisl.

The file itself has the geometry, the shells and the Fermi level from SIESTA 5
on (versions 1 and 2 of the format). SIESTA 4 wrote version 0 in single
precision without any of them; it is refused. Energies are SIESTA's own:
sisl moves the Fermi level to 0, and the reader moves it back.

Checked against sisl 0.20: the written files against sisl's own reading, the
orbitals against its spherical harmonics; not against SIESTA itself.
"""

import pathlib
import shutil
import struct
import tempfile
import warnings

from data_tools.plausibility import plausible
from data_tools.read_apart import read_apart
from data_tools.sisl_hamiltonian import from_sisl
from data_tools.sisl_hamiltonian import import_sisl
from data_tools.sisl_hamiltonian import to_sisl
from keras_hamiltonian.files import replacing
from keras_hamiltonian.reading import reader

# Lattice (9), Fermi level in Ry, electrons, temperature.
_SCALARS = struct.Struct("<12d")
# Byte of the word that says whether numbers are in double precision.
_LOGICAL = 16


@reader
@plausible
def read_siesta(path):
    """Reads Hamiltonian and overlap of SIESTA 5 from an HSX file.

    Args:
        path: str or path. The `.HSX` file.

    Returns:
        `Calculation`, with Fermi level and number of electrons where the file
        has them (0 electrons, as sisl writes, are none). Numbers that SIESTA
        stored in single precision carry errors of 1e-7 of their size.

    Raises:
        ValueError: if sisl is missing, or the file is of another kind or
            version, cut short, or lacks what a `Calculation` needs; or sisl
            dies over it or takes too long.
    """
    import_sisl()
    path = pathlib.Path(path)
    _read_header(path)
    return read_apart(f"{__name__}:read_here", path)


def read_here(path):
    """`read_siesta` in this process, which a damaged file may end."""
    sisl = import_sisl()
    version, scalars = _read_header(path)
    with tempfile.TemporaryDirectory() as folder:
        return _read_by_sisl(
            sisl, _with_plain_logical(path, folder), version, scalars
        )


def _with_plain_logical(path, folder):
    """The file, or a copy in which true is 1: Intel's compilers write -1."""
    with open(path, "rb") as file:
        file.seek(_LOGICAL)
        value = struct.unpack("<i", file.read(4))[0]
    if value in (0, 1):
        return path
    copy = pathlib.Path(folder) / path.name
    shutil.copyfile(path, copy)
    with open(copy, "r+b") as file:
        file.seek(_LOGICAL)
        file.write(struct.pack("<i", 1))
    return copy


def _read_by_sisl(sisl, path, version, scalars):
    sile = sisl.get_sile(path, cls=sisl.io.siesta.hsxSileSiesta)
    try:
        with warnings.catch_warnings():
            # Of a missing Fermi level, which the header shows too.
            warnings.simplefilter("ignore")
            hamiltonian = sile.read_hamiltonian()
            shift = sile.read_fermi_level()
            stored = hamiltonian.dtype
    except (sisl.SislError, OSError, ValueError, MemoryError) as error:
        raise ValueError(
            f"{path} cannot be read by sisl {sisl.__version__} "
            f"({type(error).__name__}: {error}). It may be cut short; copy it "
            "again."
        ) from None
    hamiltonian = hamiltonian.astype("float64")
    hamiltonian.shift(shift)
    electrons = scalars[10]
    try:
        return from_sisl(
            hamiltonian,
            fermi_level=float(shift) if scalars[9] < 1e30 else None,
            num_electrons=electrons if electrons > 0 else None,
            name=path.name.removesuffix(".HSX"),
            source={
                "code": "SIESTA",
                "file": path.name,
                "format": f"HSX version {version}",
                "precision": str(stored),
                "reader": f"sisl {sisl.__version__}",
            },
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def write_siesta(path, calculation):
    """Writes an HSX file (version 2, double precision); it appears complete.

    The Fermi level and the number of electrons go where SIESTA puts them, as 0
    if they are unknown.

    Args:
        path: str or path, ending in `.HSX`.
        calculation: `Calculation` with Hamiltonian and overlap, shells up to d.

    Raises:
        ValueError: if sisl is missing, a matrix is missing, or a shell is of
            higher degree.
    """
    sisl = import_sisl()
    path = pathlib.Path(path)
    hamiltonian = to_sisl(calculation)
    with replacing(path) as temporary:
        sile = sisl.io.siesta.hsxSileSiesta(temporary, "w")
        sile.write_hamiltonian(hamiltonian)
        offset, scalars = _find_scalars(temporary)
        scalars = list(scalars)
        rydberg = sisl.unit_convert("Ry", "eV")
        scalars[9] = (calculation.fermi_level or 0.0) / rydberg
        scalars[10] = float(calculation.num_electrons or 0.0)
        with open(temporary, "r+b") as file:
            file.seek(offset)
            file.write(_SCALARS.pack(*scalars))


def _read_header(path):
    """Format version, and lattice, Fermi level, electrons, temperature."""
    try:
        start = path.open("rb").read(12)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    if len(start) < 12:
        raise ValueError(
            f"{path} has {len(start)} bytes; it is no HSX file, or was cut "
            "short."
        )
    before, version, after = struct.unpack("<3i", start)
    if before == 16:
        # Orbitals, those of the supercell, spins, numbers.
        raise ValueError(
            f"{path} has the HSX format 0 of SIESTA 4 or older, which holds "
            "no atoms, shells or Fermi level; only formats 1 and 2 of SIESTA 5 "
            "can be read. Repeat the run with SIESTA 5, or read it by sisl "
            "with a geometry and pass the object to `from_sisl`."
        )
    if (before, after) != (4, 4) or version not in (1, 2):
        raise ValueError(
            f"{path} is no HSX file of a version known here: expected a first "
            f"record with 1 or 2. Received: {start.hex(' ', 4)}."
        )
    return version, _find_scalars(path)[1]


def _find_scalars(path):
    """Where the fourth record starts, and its numbers.

    Walks through all records: sisl does not notice a file that was cut short.
    """
    records = []
    total = path.stat().st_size
    with open(path, "rb") as file:
        while file.tell() < total:
            head = file.read(4)
            size = struct.unpack("<i", head)[0] if len(head) == 4 else -1
            records.append((file.tell(), size))
            if size < 0 or file.tell() + size + 4 > total:
                raise ValueError(
                    f"{path} ends within its record {len(records)}. It was "
                    "cut short: copy it again."
                )
            file.seek(size, 1)
            if file.read(4) != head:
                raise ValueError(
                    f"{path}: the two marks of record {len(records)} differ. "
                    "The file is damaged, or its numbers are big-endian."
                )
        if len(records) < 4 or records[3][1] != _SCALARS.size:
            raise ValueError(
                f"{path}: expected a fourth record of {_SCALARS.size} bytes "
                "(lattice, Fermi level, electrons, temperature). Received "
                f"records of {', '.join(str(n) for _, n in records[:4])} "
                "bytes. The file is damaged or of an unknown version."
            )
        file.seek(records[3][0])
        return records[3][0], _SCALARS.unpack(file.read(_SCALARS.size))
