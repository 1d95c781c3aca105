"""Features of every kind of stage; what is chosen does not rotate."""

import ase
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from small_stages import small_stage

import keras_hamiltonian as kh

SMALL_SECOND = {"channels": 4, "num_blocks": 1, "hidden": 4}


@pytest.fixture(scope="module")
def store(data_folder):
    return kh.HamiltonianStore(data_folder / "reference_mos2.h5")


def displaced(atoms, size, seed):
    atoms = atoms.copy()
    atoms.rattle(size, seed=seed)
    return atoms


def grams(features):
    return {kind: x.T @ x for kind, x in features.items()}


def test_all_kinds_of_stages(store):
    atoms, basis = store[0].atoms, store.basis.to_dict()
    first = small_stage(store)
    second = kh.models.EquivariantTransformerStage.for_stage(
        first, **SMALL_SECOND
    )
    alone = kh.models.StandaloneTransformerStage(
        basis, first.reaches, width=8, num_heads=1, num_blocks=1
    )
    cascade = kh.models.HamiltonianCascade(first, second)
    found = []
    for model in (first, cascade, alone):
        [features] = kh.selection.atom_features(model, [atoms])
        assert {symbol for symbol, _ in features} == {"Mo", "S"}
        for (symbol, irrep), x in features.items():
            rows = 2 * int(irrep[0]) + 1
            assert len(x) == rows * sum(atoms.symbols == symbol)
            assert np.isfinite(x).all() and x.any()
        found.append(features)
    for kind, x in found[0].items():
        np.testing.assert_allclose(found[1][kind], x, atol=1e-5)


def test_choices_do_not_depend_on_the_frame(store):
    model = small_stage(store)
    pool = [displaced(store[0].atoms, 0.1, seed) for seed in range(5)]
    known = [displaced(store[0].atoms, 0.02, 9)]
    rotated = []
    for seed, atoms in enumerate(pool):
        rotation = Rotation.random(random_state=seed).as_matrix()
        new = ase.Atoms(
            atoms.symbols,
            atoms.positions @ rotation.T,
            cell=atoms.cell @ rotation.T,
            pbc=True,
        )
        rotated.append(new)
    chosen, again = (
        kh.selection.propose(model, some, known, 3) for some in (pool, rotated)
    )
    assert [c.index for c in chosen] == [c.index for c in again]
    for one, other in zip(chosen, again):
        assert one.variance == pytest.approx(other.variance, rel=1e-3)
    # The features themselves do rotate.
    one, other = kh.selection.atom_features(model, [pool[1], rotated[1]])
    assert not np.allclose(one["Mo", "1o"], other["Mo", "1o"], rtol=0.1)
    for kind, gram in grams(one).items():
        expected = grams(other)[kind]
        np.testing.assert_allclose(gram, expected, atol=1e-3 * gram.max())


def test_the_larger_displacement_is_the_more_uncertain(store):
    model = small_stage(store)
    sizes = (0.02, 0.05, 0.3)
    pool = [displaced(store[0].atoms, s, 1) for s in sizes]
    known = [displaced(store[0].atoms, 0.02, k) for k in (2, 3)]
    chosen = kh.selection.propose(model, pool, known, 3)
    variance = {sizes[c.index]: c.variance for c in chosen}
    assert variance[0.02] < variance[0.05] < variance[0.3]
    assert chosen[0].index == 2


def test_other_elements_are_refused(store):
    with pytest.raises(ValueError, match="C"):
        list(kh.selection.atom_features(small_stage(store), [ase.Atoms("C")]))
