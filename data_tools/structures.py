"""Structures in files of any kind, with their matrices or without."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import ase
import ase.io
from ase.io.formats import filetype

from data_tools.deeph import CHUNKED_FILES
from data_tools.deeph import LEGACY_FILES
from data_tools.deeph_legacy import read_legacy_atoms
from data_tools.formats import FORMATS
from data_tools.formats import detect_format
from data_tools.formats import find_sources
from data_tools.formats import read_source
from data_tools.poscar import read_poscar
from data_tools.search import Source
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.reading import reading
from keras_hamiltonian.structures.soundness import check_atoms

DEEPH_FILES = {"deeph-legacy": LEGACY_FILES, "deeph-dock": CHUNKED_FILES}


@dataclasses.dataclass(frozen=True)
class Structure:
    """A structure that can be read.

    Attributes:
        name: str.
        load: function without arguments that returns the `ase.Atoms` and the
            `Calculation`, or `None` where there are no matrices.
        source: `Source` of a calculation, or `None`.
    """

    name: str
    load: Callable
    source: Source | None = None

    def atoms(self):
        """The `ase.Atoms`; matrices are not read where it can be helped."""
        if self.source is not None:
            return read_atoms(self.source)
        return self.load()[0]

    def calculation(self):
        """The `Calculation`, with a Hamiltonian.

        Raises:
            ValueError: if there is none.
        """
        _, calculation = self.load()
        if calculation is None or calculation.hamiltonian is None:
            raise ValueError(
                f"The structure {self.name!r} has no Hamiltonian to compare "
                "with."
            )
        return calculation


def find_structures(paths, names=None):
    """Structures in files and folders; nothing large is read yet.

    Args:
        paths: list of paths. Calculations of any format that can be read,
            predictions in DeepH folders, folders of these, or structure files
            that ASE reads.
        names: list of str. Takes the structures of these names alone.

    Returns:
        List of `Structure`, not empty.

    Raises:
        ValueError: if a path or a name does not exist, or two structures have
            one name.
    """
    found = [s for path in paths for s in _find(pathlib.Path(path))]
    known = [structure.name for structure in found]
    if names:
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(
                f"There is no structure {', '.join(missing)}; found "
                f"{_some(known)}."
            )
        found = [structure for structure in found if structure.name in names]
        known = [structure.name for structure in found]
    if len(set(known)) != len(known):
        twice = sorted({name for name in known if known.count(name) > 1})
        raise ValueError(
            "Two structures have one name, and results would be mixed: "
            f"{_some(twice)}. Read them one after the other."
        )
    return found


def read_atoms(source):
    """The `ase.Atoms` of a `Source`.

    Of containers and DeepH folders no matrix is read.
    """
    folder = source.file
    if source.format == "container":
        with HamiltonianStore(source.file) as store:
            return store.atoms(source.name)
    if source.format == "deeph-legacy":
        return read_legacy_atoms(folder)
    if source.format == "deeph-dock":
        return read_poscar(folder / "POSCAR")
    return read_source(source).atoms


def _find(path):
    if not path.exists():
        raise ValueError(f"{path} does not exist.")
    if path.is_dir() or detect_format(path) is not None:
        # A POSCAR alone is a structure, not a calculation.
        if (path / "POSCAR").is_file() and detect_format(path) is None:
            atoms = read_poscar(path / "POSCAR")
            return [Structure(path.resolve().name, lambda: (atoms, None))]
        return [
            Structure(source.name, functools.partial(_load, source), source)
            for source in find_sources(path)
        ]
    return _frames(path, path.stem)


def _load(source):
    names, options = DEEPH_FILES.get(source.format), {}
    if names is not None:
        exists = {k: (source.file / n).is_file() for k, n in names.items()}
        if not any(exists.values()):
            return read_atoms(source), None
        if exists.get("prediction") and not exists["hamiltonian"]:
            options = {"files": {"hamiltonian": names["prediction"]}}
    calculation = read_source(source, **options)
    return calculation.atoms, calculation


def _frames(path, name):
    if not path.is_file():
        raise ValueError(f"{path} is no file.")
    try:
        kind = filetype(str(path))
        if kind == "vasp":
            frames = [read_poscar(path)]
        else:
            if kind in ("xyz", "extxyz"):
                _check_counts(path)
            frames = ase.io.read(path, index=":")
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise
        # ASE's readers raise whatever they stumble over.
        readable = ", ".join(f.name for f in FORMATS.values() if f.read)
        raise ValueError(
            f"{path} is no structure that ASE reads, and no calculation "
            f"({readable}): {type(error).__name__} {error}"
        ) from error
    if not frames:
        raise ValueError(f"{path} holds no structure.")
    for number, atoms in enumerate(frames):
        with reading(path, f"structure {number}" if len(frames) > 1 else ""):
            check_atoms(atoms)
    if len(frames) == 1:
        return [Structure(name, lambda: (frames[0], None))]
    return [
        Structure(f"{name}_{number}", lambda atoms=atoms: (atoms, None))
        for number, atoms in enumerate(frames)
    ]


def _check_counts(path):
    """Refuses an XYZ file that claims more atoms than it has lines, because
    ASE counts to that number."""
    with open(path, errors="replace") as file:
        size = sum(1 for _ in file)
        file.seek(0)
        for line in file:
            count = line.strip()[:12]
            if count.isdecimal() and int(count) > size:
                raise ValueError(
                    f"it has {size} lines and claims {count} atoms"
                )


def _some(names):
    more = ", ..." if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
