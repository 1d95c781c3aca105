"""Data sets of `train` and `evaluate`."""

import pathlib


def open_data(path, packed):
    """A set as a container; anything else is written into one.

    Args:
        path: path. A container, or a folder of calculations.
        packed: path. The container that a folder is written into.

    Returns:
        `HamiltonianStore`.

    Raises:
        ValueError: if there is nothing that can be read.
    """
    from data_tools.convert import convert
    from keras_hamiltonian.data import HamiltonianStore

    path = pathlib.Path(path)
    if path.is_file():
        return HamiltonianStore(path)
    convert(path, packed)
    return HamiltonianStore(packed)


def open_split(store, path, seed, drawn):
    """The split of a set; where there is none it is drawn and kept.

    Args:
        store: `HamiltonianStore`.
        path: path of a split, which need not be there.
        seed: int. Of the draw.
        drawn: path. Where a split that was drawn is written.

    Returns:
        `Split` with structures to train and to test on.

    Raises:
        ValueError: if a part is empty or names structures that are not there.
    """
    from keras_hamiltonian.data import Split
    from keras_hamiltonian.data import random_split

    if path.is_file():
        split = Split.read(path, store.names)
    else:
        split = random_split(store.names, seed=seed)
    empty = [part for part in ("train", "test") if not getattr(split, part)]
    if empty:
        raise ValueError(
            f"No structure is left to {' and to '.join(empty)} on: the set "
            f"has {len(store)} structures, the split {split}. Give more "
            "structures, or a --split."
        )
    if not path.is_file():
        drawn.parent.mkdir(parents=True, exist_ok=True)
        split.write(drawn)
    return split
