"""In which part of its split a structure stands."""

import pathlib

from keras_hamiltonian.data.splits import PARTS
from keras_hamiltonian.data.splits import Split

SPLIT_NAMES = ("dataset_split.json", "split.json")


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
