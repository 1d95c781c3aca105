import json

import numpy as np
import pytest

from keras_hamiltonian.data.splits import Split
from keras_hamiltonian.data.splits import ordered_split
from keras_hamiltonian.data.splits import random_split

NAMES = [f"{k:03d}" for k in range(20)]


def test_seed_fixes_the_split():
    split = random_split(NAMES, seed=3)
    assert split == random_split(NAMES, seed=3)
    assert split != random_split(NAMES, seed=4)
    assert [len(split.train), len(split.validate), len(split.test)] == [
        12,
        4,
        4,
    ]
    assert sorted(split.names) == NAMES


def test_ordered_split_follows_the_numbers():
    split = ordered_split(NAMES)
    assert split.train == tuple(NAMES[:12])
    assert split.validate == tuple(NAMES[12:16])
    assert split.test == tuple(NAMES[16:])


@pytest.mark.parametrize("seed", range(10))
def test_groups_never_straddle(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 7, size=len(NAMES)).tolist()
    split = random_split(NAMES, seed=seed, groups=groups)
    group_of = dict(zip(NAMES, groups))
    parts = [
        {group_of[name] for name in part}
        for part in (split.train, split.validate, split.test)
    ]
    assert sorted(split.names) == NAMES
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert all(parts)


def test_part_of_fraction_zero_stays_empty():
    split = random_split(
        NAMES, (0.5, 0.5, 0.0), groups=[k // 7 for k in range(20)]
    )
    assert split.test == () and split.train and split.validate


def test_written_split_reads_back(tmp_path):
    split = random_split(NAMES, seed=5)
    split.write(tmp_path / "split.json")
    assert Split.read(tmp_path / "split.json", NAMES) == split


@pytest.mark.parametrize("key", ["test", "seed", "fractions"])
def test_edited_file_is_refused(tmp_path, key):
    path = tmp_path / "split.json"
    random_split(NAMES, seed=5).write(path)
    content = json.loads(path.read_text())
    content[key] = {"test": [], "seed": 6, "fractions": [0.5, 0.3, 0.2]}[key]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="was changed after it was written"):
        Split.read(path)


def test_split_of_deeph_dock_reads(tmp_path):
    path = tmp_path / "dataset_split.json"
    path.write_text('{"train": ["a", "b"], "validate": [], "test": ["c"]}')
    split = Split.read(path)
    assert (split.train, split.test) == (("a", "b"), ("c",))
    with pytest.raises(ValueError, match="not in the data.*'c'"):
        Split.read(path, ["a", "b"])


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "split.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        Split.read(path)
    path.write_text('{"training": []}')
    with pytest.raises(ValueError, match="expected the keys train, validate"):
        Split.read(path)


def test_unusable_requests_are_refused():
    with pytest.raises(ValueError, match="'a'.*more than once"):
        Split(["a"], ["b"], ["a"])
    with pytest.raises(ValueError, match="sum to 1"):
        random_split(NAMES, (0.6, 0.6, 0.2))
    with pytest.raises(ValueError, match="sum to 1"):
        random_split(NAMES, (float("nan"), 0.0, 0.0))
    with pytest.raises(ValueError, match="cannot fill 3 parts"):
        random_split(NAMES, groups=["same"] * 20)
    with pytest.raises(ValueError, match="2 groups for 20 names"):
        random_split(NAMES, groups=["a", "b"])
