"""Structures to work on."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Structure:
    """A structure that can be read.

    Attributes:
        name: str.
        load: function without arguments that returns the `ase.Atoms` and the
            `Calculation`, or `None` where there are no matrices.
    """

    name: str
    load: Callable


def find_structures(paths, names=None):
    """Structures in files and folders.

    Args:
        paths: list of paths. Calculations of any format that can be read,
            predictions in DeepH folders, folders of these, or structure files
            that ASE reads.
        names: list of str. Takes the structures of these names alone.

    Returns:
        List of `Structure`, not empty.

    Raises:
        ValueError: if a path or name does not exist, or two structures have
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
            f"{_some(twice)}. Take them by two commands."
        )
    return found


def one_structure(path, name=None):
    """The structure of a path that holds one, or the one of that name.

    Raises:
        ValueError: if it is not exactly one.
    """
    found = find_structures([path], name and [name])
    if len(found) > 1:
        raise ValueError(
            f"{path} holds {len(found)} structures; choose one by --name: "
            f"{_some([structure.name for structure in found])}."
        )
    return found[0]


def check_new(path, overwrite=False):
    """Refuses a target that exists.

    Raises:
        ValueError: if it does, unless it is a file that may be overwritten.
    """
    path = pathlib.Path(path)
    if path.is_dir() and any(path.iterdir()):
        raise ValueError(
            f"{path} exists and has files in it. Choose another name, or "
            "remove it."
        )
    if path.is_file() and not overwrite:
        raise ValueError(
            f"{path} exists. Choose another name, or replace it with "
            "--overwrite."
        )


def formats(ability, without=()):
    """Names of the formats to `"read"` or to `"write"`, in words."""
    from data_tools.formats import FORMATS

    return ", ".join(
        name
        for name, format in FORMATS.items()
        if getattr(format, ability) and name not in without
    )


def _find(path):
    from data_tools.formats import detect_format
    from data_tools.formats import find_sources

    if not path.exists():
        raise ValueError(f"{path} does not exist.")
    if path.is_dir() or detect_format(path) is not None:
        # A POSCAR alone is a structure, not a calculation.
        if (path / "POSCAR").is_file() and detect_format(path) is None:
            return _frames(path / "POSCAR", path.resolve().name, format="vasp")
        return [
            Structure(source.name, functools.partial(_load, source))
            for source in find_sources(path)
        ]
    return _frames(path, path.stem)


def _load(source):
    from data_tools.deeph import CHUNKED_FILES
    from data_tools.deeph import LEGACY_FILES
    from data_tools.formats import read_source

    names = {"deeph-legacy": LEGACY_FILES, "deeph-dock": CHUNKED_FILES}
    names, options = names.get(source.format), {}
    if names is not None:
        is_there = {k: (source.file / n).is_file() for k, n in names.items()}
        if is_there.get("prediction") and not is_there["hamiltonian"]:
            options = {"files": {"hamiltonian": names["prediction"]}}
        if not any(is_there.values()):
            return _bare_atoms(source.file), None
    calculation = read_source(source, **options)
    return calculation.atoms, calculation


def _bare_atoms(folder):
    """The structure of a DeepH folder that has no matrices yet."""
    import ase
    import ase.io
    import numpy as np

    if not (folder / "element.dat").is_file():
        return ase.io.read(folder / "POSCAR", format="vasp")
    return ase.Atoms(
        np.loadtxt(folder / "element.dat", dtype=int, ndmin=1),
        np.loadtxt(folder / "site_positions.dat", ndmin=2).T,
        cell=np.loadtxt(folder / "lat.dat").T,
        pbc=True,
    )


def _frames(path, name, **options):
    import ase.io

    try:
        frames = ase.io.read(path, index=":", **options)
    except OSError:
        raise
    except Exception as error:
        # ASE's readers raise whatever they stumble over.
        raise ValueError(
            f"{path} is no structure that ASE reads, and no calculation "
            f"({formats('read')}): {type(error).__name__} {error}"
        ) from error
    if not frames:
        raise ValueError(f"{path} holds no structure.")
    if len(frames) == 1:
        return [Structure(name, lambda: (frames[0], None))]
    return [
        Structure(f"{name}_{number}", lambda atoms=atoms: (atoms, None))
        for number, atoms in enumerate(frames)
    ]


def _some(names):
    more = ", ..." if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
