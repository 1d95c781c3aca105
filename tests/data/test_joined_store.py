"""Several containers as one set."""

import pickle

import numpy as np
import pytest

import keras_hamiltonian as kh
from keras_hamiltonian.data import JoinedStore
from keras_hamiltonian.data import Split
from keras_hamiltonian.data import join_splits


@pytest.fixture(scope="module")
def files(data_folder):
    return [data_folder / f"{name}.h5" for name in ("graphene", "mos2")]


@pytest.fixture(scope="module")
def joined(files):
    return JoinedStore(files)


def test_the_set_is_its_parts(files, joined):
    parts = [kh.HamiltonianStore(file) for file in files]
    assert len(joined) == sum(map(len, parts))
    assert joined.names[0] == f"graphene-{parts[0].names[0]}"
    assert joined.basis.symbols == ("C", "Mo", "S")
    name = joined.names[-1]
    whole, part = joined[name], parts[1][-1]
    assert (whole.name, joined.set_of(name)) == (name, "mos2")
    assert np.array_equal(whole.hamiltonian.entries, part.hamiltonian.entries)
    assert joined.pair_counts(name) == parts[1].pair_counts(part.name)
    assert joined.has_initial(name) and joined.atoms(name) == part.atoms
    assert joined.correction(name) == parts[1].correction(part.name)
    assert joined.attributes["mos2"] == parts[1].attributes
    assert f"{len(joined)} structures" in joined.describe()
    again = pickle.loads(pickle.dumps(joined))
    assert again[0].name == joined.names[0]


def test_batches_are_those_of_the_parts(files, joined):
    """In a table with more shells a block keeps its numbers: their sum of
    squares, and that over its irreps, are those of the set alone."""
    alone = kh.HamiltonianDataset(kh.HamiltonianStore(files[0]))[0]
    inputs, targets, weights = kh.HamiltonianDataset(joined)[0]
    assert targets["onsite"].shape[-1] == 19 > alone[1]["onsite"].shape[-1]
    for name, found in alone[1].items():
        assert (targets[name] ** 2).sum() == pytest.approx((found**2).sum())
        own = targets[name][weights[name] > 0]
        assert np.array_equal(own, found[alone[2][name] > 0])
    assert sum(w.sum() for w in weights.values()) == pytest.approx(1)


def test_a_structure_counts_once(joined):
    """Whatever its size: the weighted sum of errors of a batch of two is the
    mean of the two."""
    names = [joined.names[0], joined.names[-1]]
    inputs, _, weights = kh.HamiltonianDataset(joined, names, batch_size=2)[0]
    for k in range(2):
        own = inputs["structure"] == k
        share = sum(w[own].sum() for w in weights.values())
        assert share == pytest.approx(0.5)


def test_splits_join():
    parts = {"a": Split(["0", "1"], ["2"], []), "b": Split(["0"], [], ["1"])}
    split = join_splits(parts)
    assert split.train == ("a-0", "a-1", "b-0")
    assert (split.validate, split.test) == (("a-2",), ("b-1",))


def test_what_does_not_fit(data_folder, tmp_path, files):
    graphene = kh.HamiltonianStore(files[0])
    with pytest.raises(ValueError, match="Two files are called 'graphene'"):
        JoinedStore([graphene, graphene])
    with pytest.raises(ValueError, match="'none'.*'noncollinear'|layout"):
        JoinedStore([files[0], data_folder / "bismuthene.h5"])
    calculation = graphene[0]
    other = kh.OrbitalBasis({"C": [0, 0, 1, 2, 1]})
    calculation.basis = other
    kh.HamiltonianStore.write(tmp_path / "other.h5", [calculation])
    with pytest.raises(ValueError) as error:
        JoinedStore([graphene, tmp_path / "other.h5"])
    for word in ("C", "graphene.h5", "other.h5", "2s 2p 1d", "[0, 0, 1, 2, 1]"):
        assert word in str(error.value)
