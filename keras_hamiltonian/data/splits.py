"""Structures for training, validation and test, with a checksum."""

import dataclasses
import hashlib
import json
import pathlib

import numpy as np

from keras_hamiltonian.files import write_text
from keras_hamiltonian.reading import reading

PARTS = ("train", "validate", "test")


@dataclasses.dataclass(frozen=True)
class Split:
    """Names of the structures in each part, and how they were chosen.

    Files are JSON with the keys of DeepH-dock's `dataset_split.json` (`train`,
    `validate`, `test`), so that both programs read them, and with a checksum
    that shows later changes.

    Attributes:
        train: tuple of str.
        validate: tuple of str.
        test: tuple of str.
        seed: int, or `None` if the parts were not drawn.
        fractions: three floats, or `None`.

    Raises:
        ValueError: if a name occurs twice, in one part or in two.
    """

    train: tuple
    validate: tuple
    test: tuple
    seed: int | None = None
    fractions: tuple | None = None

    def __post_init__(self):
        for part in PARTS:
            names = tuple(str(name) for name in getattr(self, part))
            object.__setattr__(self, part, names)
        names = self.names
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(
                f"Structures {twice[:5]} occur more than once in the split. "
                "Training and test structures must differ."
            )

    @property
    def names(self):
        """All names, part after part."""
        return self.train + self.validate + self.test

    @property
    def checksum(self):
        """SHA-256 over the parts, the seed and the fractions."""
        text = json.dumps(self._content(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def write(self, path, data=None):
        """Writes the split as JSON; an existing file is replaced.

        Args:
            path: str or path.
            data: list of str. Checksums of the sets that it was drawn for.
        """
        content = {**self._content(), "checksum": self.checksum}
        if data is not None:
            content["data"] = data
        write_text(path, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, path, names=None):
        """Reads a split and verifies its checksum.

        Args:
            path: str or path. A file of `write`, or a `dataset_split.json`,
                which has no checksum to verify.
            names: iterable of str. If given, every name of the split must be
                one of them (`HamiltonianStore.names`).

        Raises:
            ValueError: if the file is none of these, was changed since it was
                written, or names a structure that is not in `names`.
        """
        with reading(path):
            content = _read_json(path)
            fractions = content.get("fractions")
            split = cls(
                *(content.get(part, ()) for part in PARTS),
                seed=content.get("seed"),
                fractions=None if fractions is None else tuple(fractions),
            )
            written = content.get("checksum")
        if written not in (None, split.checksum):
            raise ValueError(
                f"{path} was changed after it was written: its checksum is "
                f"{str(written)[:12]}..., that of its content "
                f"{split.checksum[:12]}.... Results on the old and the new "
                "split are not comparable. Restore the file, or write the new "
                "split with `Split.write` under another name."
            )
        if names is not None:
            split.check_names(names, path)
        return split

    def check_names(self, names, origin="The split"):
        """Checks that a set has all structures of the split.

        Args:
            names: iterable of str. Those of the set.
            origin: str. What the error names.

        Raises:
            ValueError: if one is missing.
        """
        known = set(names)
        missing = [name for name in self.names if name not in known]
        if missing:
            raise ValueError(
                f"{origin} names {len(missing)} structures that are not in the "
                f"data, for example {missing[:3]}. Is this the split of "
                "another set?"
            )

    def _content(self):
        return {
            **{part: list(getattr(self, part)) for part in PARTS},
            "seed": self.seed,
            "fractions": None
            if self.fractions is None
            else list(self.fractions),
        }

    def __repr__(self):
        sizes = ", ".join(f"{len(getattr(self, p))} {p}" for p in PARTS)
        return f"Split({sizes}, seed {self.seed})"


def random_split(names, fractions=(0.6, 0.2, 0.2), seed=0, groups=None):
    """Draws a split; structures of one group stay in one part.

    Args:
        names: sequence of str.
        fractions: three floats that sum to 1: train, validate, test.
        seed: int. The same seed and names give the same split.
        groups: sequence as long as `names`, of anything hashable, see
            `groups_by`: cells, compositions or trajectories. Successive steps
            of a trajectory are almost equal, and must not be divided between
            training and test.

    Returns:
        `Split`, each part in the order of `names`.

    Raises:
        ValueError: for unusable fractions, or fewer groups than parts.

    Example:

    >>> random_split(["a", "b", "c", "d", "e"], seed=1)
    Split(3 train, 1 validate, 1 test, seed 1)
    """
    names = [str(name) for name in names]
    targets = _part_sizes(len(names), fractions)
    members = _members(names, groups)
    _check_groups(members, targets)
    order = np.random.default_rng(seed).permutation(len(members))
    # Large groups first: what is left to place then fits any gap.
    order = sorted(order, key=lambda k: -len(members[k]))
    room = np.where(targets > 0, targets, -np.inf)
    chosen = {}
    empty = targets > 0
    for count, k in enumerate(order):
        left = len(order) - count
        open_parts = empty if empty.sum() >= left else targets > 0
        part = int(np.argmax(np.where(open_parts, room, -np.inf)))
        room[part] -= len(members[k])
        empty[part] = False
        chosen.update(dict.fromkeys(members[k], part))
    parts = [[n for n in names if chosen[n] == part] for part in range(3)]
    return Split(*parts, seed=seed, fractions=tuple(fractions))


def ordered_split(names, fractions=(0.6, 0.2, 0.2)):
    """The first names for training, the next for validation, the last for test.

    Args:
        names: sequence of str, in order.
        fractions: three floats that sum to 1.

    Returns:
        `Split`.

    Raises:
        ValueError: for unusable fractions.

    Example:

    >>> ordered_split(["000", "001", "002", "003", "004"]).test
    ('004',)
    """
    sizes = _part_sizes(len(names), fractions)
    first, second = np.cumsum(sizes)[:2]
    return Split(
        names[:first],
        names[first:second],
        names[second:],
        fractions=tuple(fractions),
    )


def join_splits(splits):
    """One split of several sets.

    Args:
        splits: dict from the name of each set to its `Split`, see
            `JoinedStore.stores`.

    Returns:
        `Split` with the names of `JoinedStore`; parts are those of each set,
        one after the other.

    Example:

    >>> parts = {"a": Split(["0"], [], ["1"]), "b": Split(["0"], ["2"], [])}
    >>> join_splits(parts).train
    ('a-0', 'b-0')
    """
    return Split(
        *(
            [
                f"{name}-{own}"
                for name, split in splits.items()
                for own in getattr(split, part)
            ]
            for part in PARTS
        )
    )


def _part_sizes(total, fractions):
    """Whole numbers near the fractions that sum to the total."""
    fractions = np.asarray(fractions, dtype=float)
    if (
        fractions.shape != (3,)
        or not (fractions >= 0).all()
        or not abs(fractions.sum() - 1) <= 1e-9
    ):
        raise ValueError(
            "`fractions` are three numbers of at least 0 that sum to 1: train, "
            f"validate, test. Received: {fractions.tolist()}."
        )
    edges = np.rint(np.cumsum([0, *fractions]) * total).astype(int)
    return np.diff(edges)


def _members(names, groups):
    if groups is None:
        return [[name] for name in names]
    if len(groups) != len(names):
        raise ValueError(
            f"`groups` has one group for each name. Received {len(groups)} "
            f"groups for {len(names)} names."
        )
    members = {}
    for name, group in zip(names, groups):
        members.setdefault(group, []).append(name)
    return list(members.values())


def _check_groups(members, targets):
    if len(members) < (targets > 0).sum():
        raise ValueError(
            f"{len(members)} groups cannot fill {(targets > 0).sum()} parts, "
            "because a group is never divided. Set a fraction to 0, or use "
            "finer groups."
        )


def _read_json(path):
    try:
        content = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as JSON ({error}). Expected a split: "
            '{"train": [...], "validate": [...], "test": [...]}.'
        ) from error
    if not isinstance(content, dict) or not any(p in content for p in PARTS):
        raise ValueError(
            f"{path} is no split: expected the keys {', '.join(PARTS)}, found "
            f"{', '.join(content) if isinstance(content, dict) else 'a list'}."
        )
    return content
