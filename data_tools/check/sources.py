"""From a path on the command line to calculations."""

import dataclasses
import pathlib
from collections.abc import Callable

from data_tools.deeph import read_deeph
from data_tools.openmx import read_scfout
from keras_hamiltonian.data.splits import PARTS
from keras_hamiltonian.data.splits import Split
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.data.store import is_store

SCFOUT_ENDINGS = (".scfout", ".scfout.gz")
SPLIT_NAMES = ("dataset_split.json", "split.json")


@dataclasses.dataclass(frozen=True)
class Source:
    """One structure that can be read.

    Attributes:
        file: path. File or folder it stands in.
        name: str. Its name.
        read: function without arguments that returns the `Calculation`.
    """

    file: pathlib.Path
    name: str
    read: Callable


def find_sources(path):
    """Structures below a path.

    Args:
        path: str or path. A container, a DeepH folder of either layout, an
            OpenMX scfout file, or a folder that holds such things.

    Returns:
        List of `Source`, not empty; nothing large is read yet.

    Raises:
        ValueError: if there is nothing of these kinds.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise ValueError(f"{path} does not exist.")
    sources = _sources(path) or []
    if not sources and path.is_dir():
        for child in sorted(path.rglob("*")):
            sources.extend(_sources(child) or [])
    if not sources:
        raise ValueError(
            f"{path} holds nothing that can be checked: expected a container "
            "(.h5), DeepH folders (with element.dat or POSCAR), or OpenMX "
            "files (.scfout)."
        )
    return sources


def parts_of_splits(sources, path, split=None):
    """In which part of its split each structure stands.

    Args:
        sources: list of `Source`, all found below `path`.
        path: str or path.
        split: `Split`. Counts for all of them; without it a container's own
            split counts for its structures, that of the folder for the rest.

    Returns:
        Dict from `(file, name)` to `"train"`, `"validate"` or `"test"`;
        structures in no split are left out.

    Raises:
        ValueError: if a split lies there but is damaged.
    """
    splits, parts = {}, {}
    for source in sources:
        place = source.file if source.file.is_file() else pathlib.Path(path)
        if place not in splits:
            splits[place] = split or find_split(place)
        own = splits[place]
        for part in PARTS if own is not None else ():
            if source.name in getattr(own, part):
                parts[str(source.file), source.name] = part
    return parts


def find_split(path):
    """The split that lies with the data, or `None`.

    Args:
        path: str or path. For a container `NAME.h5` it is `NAME.split.json`
            beside it; in a folder `dataset_split.json` or `split.json`.

    Raises:
        ValueError: if the file is there but no split.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        candidates = [path / name for name in SPLIT_NAMES]
    else:
        candidates = [path.with_suffix(".split.json")]
    for candidate in candidates:
        if candidate.is_file():
            return Split.read(candidate)
    return None


def _sources(path):
    """Structures of exactly this file or folder, `None` if of no known kind."""
    if path.is_dir():
        marks = ("element.dat", "POSCAR")
        if any((path / mark).is_file() for mark in marks):
            return [Source(path, path.resolve().name, lambda: read_deeph(path))]
        return None
    if path.name.endswith(SCFOUT_ENDINGS):
        name = path.name.split(".scfout")[0]
        return [Source(path, name, lambda: read_scfout(path))]
    if path.suffix in (".h5", ".hdf5") and is_store(path):
        store = HamiltonianStore(path)
        return [
            Source(path, name, lambda name=name: store[name])
            for name in store.names
        ]
    return None
