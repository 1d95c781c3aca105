import dataclasses

import keras
import numpy as np
import pytest

from keras_hamiltonian.conventions import BOHR_IN_ANGSTROM
from keras_hamiltonian.data.dataset import HamiltonianDataset
from keras_hamiltonian.data.store import HamiltonianStore
from keras_hamiltonian.models.equivariant_stage import EquivariantStage
from keras_hamiltonian.orbitals.basis import OrbitalBasis


@pytest.fixture(scope="module")
def graphene(data_folder):
    return HamiltonianStore(data_folder / "graphene.h5")


@pytest.fixture(scope="module")
def mos2(data_folder):
    return HamiltonianStore(data_folder / "mos2.h5")


@pytest.fixture(scope="module")
def bismuthene(data_folder):
    return HamiltonianStore(data_folder / "reference_bismuthene.h5")


def tiny_model(store):
    model = EquivariantStage(
        store.basis.to_dict(),
        {s: 7 * BOHR_IN_ANGSTROM for s in store.basis.symbols},
        irreps="4x0e + 2x1o",
        num_groups=1,
        num_gaussians=4,
        radial_units=(4,),
    )
    model.adapt(HamiltonianDataset(store, store.names[:1]))
    return model


def run(model, inputs):
    outputs = model.predict_on_batch(inputs)
    return {k: np.asarray(x) for k, x in outputs.items()}


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("name", ["graphene", "mos2", "bismuthene"])
def test_weights_sum_to_one(request, name, batch_size):
    store = request.getfixturevalue(name)
    _, targets, weights = HamiltonianDataset(
        store,
        store.names[:3],
        batch_size=batch_size,
        atom_bucket=5,
        neighbor_bucket=7,
    )[0]
    total = sum(w.sum(dtype=np.float64) for w in weights.values())
    assert total == pytest.approx(1, abs=1e-5)
    for key, w in weights.items():
        assert w.shape == targets[key].shape
        # Where there is no orbital there is no label.
        assert not np.asarray(targets[key])[w == 0].any()


def test_parts_of_a_batch(graphene):
    names = graphene.names[:5]
    data = HamiltonianDataset(graphene, names, batch_size=2, shuffle=True)
    whole = [data.structure_names(k) for k in range(len(data))]
    sums = np.zeros(len(whole))
    found = [[] for _ in whole]
    for number in range(2):
        part = HamiltonianDataset(graphene, names, shuffle=True)
        part.take_part(number, 2)
        assert len(part) == len(whole)
        for k, batch in enumerate(map(part.__getitem__, range(len(part)))):
            total = sum(float(w.sum(dtype="f8")) for w in batch[2].values())
            assert total == pytest.approx(part.share(k), abs=1e-5)
            sums[k] += total
            found[k] += part.structure_names(k) if total else []
    np.testing.assert_allclose(sums, 1, atol=1e-5)
    assert found == whole
    # The last batch has one structure, the second part has none of it.
    assert part.share(2) == 0
    assert part.structure_names(2) == whole[2]


def test_batches_that_are_read_ahead(graphene):
    made = []

    class Watched(HamiltonianDataset):
        def _batch(self, members, *rest):
            made.append(members)
            return super()._batch(members, *rest)

    options = {"names": graphene.names[:4], "shuffle": True, "seed": 3}
    ahead = Watched(graphene, cache=False, read_ahead=2, **options)
    plain = HamiltonianDataset(graphene, **options)
    orders = []
    for _ in range(2):
        orders.append([plain.structure_names(k) for k in range(4)])
        for position in range(4):
            found, expected = ahead[position], plain[position]
            for part, other in zip(found, expected):
                for name in other:
                    np.testing.assert_array_equal(part[name], other[name])
        ahead.on_epoch_end()
        plain.on_epoch_end()
    assert orders[0] != orders[1]
    # Each was read once in an epoch.
    assert len(made) == 8


def test_structures_count_alike_and_elements_within_a_structure_too(
    graphene, data_folder
):
    small = HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    inputs, _, weights = HamiltonianDataset([graphene[0], small], batch_size=2)[
        0
    ]
    for number in range(2):
        rows = inputs["structure"] == number
        parts = [w[rows] for w in weights.values()]
        assert sum(p.sum() for p in parts) == pytest.approx(0.5, abs=1e-5)
        values = np.unique(np.concatenate([p[p > 0] for p in parts]))
        assert len(values) == 1


def test_weighted_error_is_the_mean_over_matrix_elements(mos2):
    calculation = mos2[0]
    _, targets, weights = HamiltonianDataset([calculation])[0]
    weighted = sum((np.abs(targets[k]) * weights[k]).sum() for k in targets)
    expected = np.abs(calculation.hamiltonian.entries).mean()
    assert weighted == pytest.approx(expected, rel=1e-4)


def test_blocks_stand_beside_their_vectors(mos2):
    calculation = mos2[0]
    h = calculation.hamiltonian
    inputs, targets, _ = HamiltonianDataset([calculation])[0]
    vectors = calculation.edge_vectors(h.atom_pairs)
    basis, numbers = mos2.basis, calculation.atoms.numbers
    for k in range(0, len(h), 41):
        i, j = h.atom_pairs[k, 3:]
        rows, columns = (
            basis.table_rows(numbers[i]),
            basis.table_rows(numbers[j]),
        )
        if np.linalg.norm(vectors[k]) < 1e-6:
            table = targets["onsite"][i]
        else:
            gaps = np.linalg.norm(
                inputs["edge_vectors"][i] - vectors[k], axis=1
            )
            m = int(np.where(inputs["edge_mask"][i] > 0, gaps, 9).argmin())
            assert gaps[m] < 1e-5 and inputs["neighbors"][i, m] == j
            table = targets["hopping"][i, m]
        np.testing.assert_allclose(
            table[np.ix_(rows, columns)], h.block(k), atol=2e-5
        )


def test_reverse_edges_of_a_batch(graphene, data_folder):
    small = HamiltonianStore(data_folder / "reference_graphene.h5")[0]
    inputs, targets, _ = HamiltonianDataset(
        [small, graphene[0]], batch_size=2, atom_bucket=8, neighbor_bucket=16
    )[0]
    reverse = inputs["reverse_edge"].ravel()
    np.testing.assert_array_equal(reverse[reverse], np.arange(reverse.size))
    real = inputs["edge_mask"].ravel() > 0
    vectors = inputs["edge_vectors"].reshape(-1, 3)
    np.testing.assert_array_equal(vectors[reverse][real], -vectors[real])
    hopping = targets["hopping"].reshape(-1, 13, 13)
    np.testing.assert_allclose(
        hopping[reverse], hopping.swapaxes(1, 2), atol=2e-5
    )
    # A neighbour is of the same structure; padding is its own.
    structure = inputs["structure"]
    np.testing.assert_array_equal(
        structure[inputs["neighbors"]],
        np.broadcast_to(structure[:, None], inputs["neighbors"].shape),
    )
    assert (inputs["species"] == -1).sum() == 4  # 20 atoms, 24 rows


def test_batch_of_two_is_two_singles(graphene):
    names = graphene.names[:2]
    both = HamiltonianDataset(graphene, names, batch_size=2)[0]
    singles = HamiltonianDataset(graphene, names)
    model = tiny_model(graphene)
    together = run(model, both[0])
    size = 18
    for k in range(2):
        inputs, targets, weights = singles[k]
        rows = slice(k * size, (k + 1) * size)
        width = inputs["neighbors"].shape[1]
        np.testing.assert_array_equal(
            both[1]["onsite"][rows], targets["onsite"]
        )
        np.testing.assert_array_equal(
            both[1]["hopping"][rows, :width], targets["hopping"]
        )
        np.testing.assert_allclose(
            both[2]["onsite"][rows], weights["onsite"] / 2, rtol=1e-5
        )
        alone = run(model, inputs)
        for name, x in alone.items():
            part = together[name][rows]
            part = part[:, :width] if name == "hopping" else part
            np.testing.assert_allclose(part, x, atol=2e-4)


def test_padding_does_not_change_the_prediction(mos2):
    model = tiny_model(mos2)
    plain = HamiltonianDataset(
        mos2, mos2.names[:1], atom_bucket=1, neighbor_bucket=1
    )[0]
    padded = HamiltonianDataset(
        mos2, mos2.names[:1], atom_bucket=16, neighbor_bucket=128
    )[0]
    expected, found = run(model, plain[0]), run(model, padded[0])
    size, width = plain[0]["neighbors"].shape
    assert found["hopping"].shape[:2] == (16, 128)
    np.testing.assert_allclose(
        found["onsite"][:size], expected["onsite"], atol=2e-4
    )
    np.testing.assert_allclose(
        found["hopping"][:size, :width], expected["hopping"], atol=2e-4
    )
    errors = [
        sum((np.abs(o[k] - t[k]) * w[k]).sum() for k in o)
        for o, (_, t, w) in ((expected, plain), (found, padded))
    ]
    assert errors[0] == pytest.approx(errors[1], rel=1e-4)


def test_padding_has_no_gradient_but_finite_numbers(mos2):
    inputs, _, weights = HamiltonianDataset(
        mos2, mos2.names[:1], atom_bucket=16, neighbor_bucket=128
    )[0]
    assert not weights["hopping"][inputs["edge_mask"] == 0].any()
    assert not weights["onsite"][inputs["species"] < 0].any()
    assert np.linalg.norm(inputs["edge_vectors"], axis=-1).min() > 0.5


def orders(dataset, epochs=3):
    found = []
    for _ in range(epochs):
        found.append([dataset.structure_names(k) for k in range(len(dataset))])
        dataset.on_epoch_end()
    return found


def test_order_is_that_of_the_seed(graphene):
    names = graphene.names[:8]
    first, second, third = (
        orders(HamiltonianDataset(graphene, names, shuffle=True, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first == second != third
    assert first[0] != first[1]
    for epoch in first:
        assert sorted(n for batch in epoch for n in batch) == sorted(names)
    plain = orders(HamiltonianDataset(graphene, names))
    assert plain[0] == plain[2] == [[n] for n in names]


def test_order_is_a_function_of_the_epoch(graphene):
    options = {"names": graphene.names[:8], "shuffle": True, "seed": 5}
    dataset = HamiltonianDataset(graphene, **options)
    expected = orders(dataset, 4)
    other = HamiltonianDataset(graphene, **options)
    other.set_state({"epoch": 2})
    assert orders(other, 2) == expected[2:]
    assert other.get_state() == dataset.get_state() == {"epoch": 4}


def test_names_are_those_of_the_batch_that_is_served(graphene):
    names = graphene.names[:5]
    dataset = HamiltonianDataset(
        graphene, names, batch_size=2, shuffle=True, seed=3
    )
    assert len(dataset) == 3
    for _ in range(2):
        for k in range(len(dataset)):
            served = dataset[k][0]["edge_vectors"][0, 0]
            name = dataset.structure_names(k)[0]
            own = HamiltonianDataset(graphene, [name])[0][0]["edge_vectors"]
            np.testing.assert_array_equal(served, own[0, 0])
        dataset.on_epoch_end()


class CountingStore:
    """A sequence of calculations that counts how often it is read."""

    def __init__(self, store):
        self.store, self.names, self.reads = store, store.names, 0
        self.basis = store.basis

    def __getitem__(self, key):
        self.reads += 1
        return self.store[key]


@pytest.mark.parametrize("cache, reads", [(True, 2), (False, 6)])
def test_structures_are_read_when_asked_for(graphene, cache, reads):
    counting = CountingStore(graphene)
    dataset = HamiltonianDataset(counting, graphene.names[:2], cache=cache)
    first = counting.reads  # basis and spin layout
    for _ in range(3):
        for k in range(2):
            dataset[k]
    assert counting.reads - first == reads


def test_missing_hamiltonian_is_named(graphene):
    bare = dataclasses.replace(graphene[0], hamiltonian=None)
    with pytest.raises(ValueError, match="'000' has no Hamiltonian"):
        HamiltonianDataset([bare])[0]


def test_one_without_a_hamiltonian_among_others(graphene):
    bare = dataclasses.replace(graphene[1], hamiltonian=None)
    dataset = HamiltonianDataset([graphene[0], bare])
    with pytest.raises(ValueError, match="others have one"):
        dataset[1]


def test_structures_to_predict_get_their_pairs_from_the_reaches(mos2):
    calculations = [mos2[0], mos2[1]]
    bare = [dataclasses.replace(c, hamiltonian=None) for c in calculations]
    reaches = {s: 7 * BOHR_IN_ANGSTROM for s in mos2.basis.symbols}
    labelled = HamiltonianDataset(calculations, batch_size=2)
    unlabelled = HamiltonianDataset(bare, reaches=reaches, batch_size=2)
    (inputs,) = unlabelled[0]
    # The pairs of OpenMX are those whose orbitals reach each other; pairs of
    # equal length may stand in another order.
    expected = labelled[0][0]
    np.testing.assert_allclose(
        np.linalg.norm(inputs["edge_vectors"], axis=-1),
        np.linalg.norm(expected["edge_vectors"], axis=-1),
        atol=1e-5,
    )
    model = tiny_model(mos2)
    found = model.predict(unlabelled, verbose=0)
    np.testing.assert_allclose(
        found["onsite"], run(model, expected)["onsite"], atol=2e-4
    )


def test_mixed_spin_layouts(bismuthene, graphene):
    basis = OrbitalBasis({"C": "2s 2p 1d", "Bi": "3s 2p 2d"})
    dataset = HamiltonianDataset([graphene[0], bismuthene[0]], basis=basis)
    with pytest.raises(ValueError, match="one model per spin layout"):
        dataset[1]


def test_basis_that_does_not_cover_the_structures(graphene):
    dataset = HamiltonianDataset(graphene, basis=OrbitalBasis({"C": "1s"}))
    with pytest.raises(ValueError, match="does not cover"):
        dataset[0]


def test_no_structure_at_all(graphene):
    with pytest.raises(ValueError, match="at least one structure"):
        HamiltonianDataset(graphene, names=[])


def test_buckets_by_backend(graphene):
    shape = HamiltonianDataset(graphene)[0][0]["neighbors"].shape
    if keras.config.backend() == "torch":
        assert shape == (18, 45)
    else:
        assert shape == (24, 48)
