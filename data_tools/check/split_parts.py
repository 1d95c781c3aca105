"""Part of the split that each structure belongs to."""

import pathlib

from keras_hamiltonian.data.splits import PARTS
from keras_hamiltonian.data.splits import Split

SPLIT_NAMES = ("dataset_split.json", "split.json")


def parts_of_splits(sources, path, split=None):
    """Part of the split that each structure belongs to.

    Args:
        sources: list of `Source`, all found below `path`.
        path: str or path.
        split: `Split` of all of them. Defaults to a container's own split for
            its structures, and to that of the folder for the others.

    Returns:
        Dict from `(file, name)` to `"train"`, `"validate"` or `"test"`;
        structures in no split are left out.

    Raises:
        ValueError: if a split is damaged.
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
    """The split in the folder of the data, or `None`.

    Args:
        path: str or path. For a container `NAME.h5` it is `NAME.split.json`
            beside it; in a folder `dataset_split.json` or `split.json`.

    Raises:
        ValueError: if the file exists but is no split.
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
