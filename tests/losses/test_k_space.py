"""The loss between eigenstates against perturbation theory and symmetry."""

import dataclasses

import keras
import numpy as np
import pytest
from gradients import run
from gradients import value_and_gradients
from label_states import BLOCKS
from label_states import disturbed
from label_states import k_space_data
from label_states import rotated
from label_states import spinful

import keras_hamiltonian as kh
from keras_hamiltonian.irreps import random_rotations
from keras_hamiltonian.losses import KSpaceLoss
from keras_hamiltonian.losses import between_states

MESH = {"mesh": (3, 3, 1), "num_k_points": 9}
ONLY = {
    "p": {"weight": 1, "p": 1, "q": 0, "pq": 0},
    "q": {"weight": 1, "p": 0, "q": 1, "pq": 0},
    "pq": {"weight": 1, "p": 0, "q": 0, "pq": 1},
}


@pytest.fixture(autouse=True, scope="module")
def double():
    """Data in float64."""
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.fixture(scope="module", params=["graphene", "bismuthene"])
def crystal(request, data_folder):
    store = kh.HamiltonianStore(data_folder / f"reference_{request.param}.h5")
    return store[0]


@pytest.fixture(scope="module")
def data(crystal, tmp_path_factory):
    folder = tmp_path_factory.mktemp("states")
    return k_space_data(folder, [crystal], **MESH)


@pytest.fixture(scope="module")
def batch(data):
    return data[0]


def blocks_of(calculation):
    targets = kh.HamiltonianDataset([calculation], atom_bucket=2)[0][1]
    return {name: targets[name] for name in BLOCKS}


def loss_of(batch, outputs, **options):
    inputs, targets, weights = batch
    loss = KSpaceLoss(**options)
    found = run(
        lambda *arrays: loss(inputs, targets, dict(zip(BLOCKS, arrays))),
        *(outputs[name] for name in BLOCKS),
    )
    return float(found)


def states_errors(batch, outputs):
    """Z as a complex array."""
    inputs, targets, _ = batch
    real, imag = run(
        lambda *arrays: between_states(
            inputs, targets, dict(zip(BLOCKS, arrays))
        ),
        *(outputs[name] for name in BLOCKS),
    )
    return real + 1j * imag


def scale_of(crystal):
    """`C^† S C` of the states in a batch: n / sqrt(numbers in all blocks)."""
    n = crystal.num_orbitals.sum() * (2 if crystal.is_spinful else 1)
    return n / np.sqrt(crystal.hamiltonian.shapes.prod(axis=1).sum())


def test_labels_are_free(crystal, batch):
    labels = blocks_of(crystal)
    other = blocks_of(disturbed(crystal, 1e-3))
    for options in (*ONLY.values(), {"diagonal": True}, {"gauge": True}):
        assert loss_of(batch, labels, **options) == 0
        assert loss_of(batch, other, **options) > 0.1
    parts = [loss_of(batch, other, **options) for options in ONLY.values()]
    shares = {"p": 3, "q": 2, "pq": 0.5}
    assert loss_of(batch, other, weight=0.5, **shares) == pytest.approx(
        0.5 * np.dot(list(shares.values()), parts)
    )
    # A model without overlap between its orbitals would have 1 meV.
    assert 0.3 < parts[0] < 3


@pytest.mark.parametrize("size", [1e-4, 1e-5])
def test_levels_move_by_the_diagonal(crystal, batch, size):
    """First-order perturbation theory, against diagonalisation."""
    other = disturbed(crystal, size)
    cell = crystal.atoms.cell.array
    k_point = cell @ batch[1]["k_vectors"][0] / (2 * np.pi)
    levels = [
        kh.physics.lowest_states(
            kh.physics.BlochMatrices.from_calculation(c), k_point
        ).energies
        for c in (crystal, other)
    ]
    gaps = np.diff(levels[0])
    alone = np.append(gaps, 1) > 0.05
    alone &= np.append(1, gaps) > 0.05
    if crystal.is_spinful:
        # Kramers pairs: their mean moves.
        levels = [x.reshape(-1, 2).mean(1) for x in levels]
        alone = np.diff(levels[0], prepend=-99, append=999)
        alone = np.minimum(alone[1:], alone[:-1]) > 0.05
    in_p = batch[1]["k_shares"][:, 0] > 0
    found = np.diag(states_errors(batch, blocks_of(other))) / scale_of(crystal)
    if crystal.is_spinful:
        found, in_p = found.reshape(-1, 2).mean(1), in_p[::2]
    chosen = in_p & alone
    assert chosen.sum() > 3
    moved = (levels[1] - levels[0])[chosen]
    error = np.abs(found[chosen] - moved).max()
    # What is left is of second order: ten times smaller, a hundredth.
    assert error < 300 * size * np.abs(moved).max()
    assert np.abs(moved).max() > 0.1 * size


def test_gauge(crystal, batch):
    """H + μS costs nothing where it is the same physics."""
    overlap = crystal.overlap
    if crystal.is_spinful:
        overlap = spinful(overlap)
    hamiltonian = crystal.hamiltonian
    same = [overlap.find(tuple(p)) for p in hamiltonian.atom_pairs.tolist()]
    entries = np.concatenate([np.ravel(block) for block in same])
    moved = hamiltonian.with_entries(hamiltonian.entries + 0.2 * entries)
    moved = blocks_of(dataclasses.replace(crystal, hamiltonian=moved))
    for part, options in ONLY.items():
        found = loss_of(batch, moved, **options)
        assert loss_of(batch, moved, gauge=True, **options) < 1e-3
        if part == "pq":
            assert found < 1e-3
        else:
            shares = batch[1]["k_shares"][:, int(part == "q")]
            size = np.sqrt(np.sum(shares**2))
            expected = 200 * size * scale_of(crystal)
            assert found == pytest.approx(expected, rel=1e-4)
    other = blocks_of(disturbed(crystal, 1e-3))
    both = {name: moved[name] + other[name] for name in BLOCKS}
    both = {name: x - blocks_of(crystal)[name] for name, x in both.items()}
    assert loss_of(batch, both, gauge=True) == pytest.approx(
        loss_of(batch, other, gauge=True), rel=1e-4
    )
    assert loss_of(batch, other, gauge=True) < loss_of(batch, other)


def test_rotated_crystal(crystal, batch, tmp_path):
    rotation = random_rotations(1, seed=2)[0]
    other = disturbed(crystal, 1e-3)
    turned = rotated(crystal, rotation)
    after = k_space_data(tmp_path, [turned], **MESH)[0]
    found = blocks_of(rotated(other, rotation))
    assert np.abs(found["hopping"] - blocks_of(other)["hopping"]).max() > 0.1
    for options in ONLY.values():
        assert loss_of(after, found, **options) == pytest.approx(
            loss_of(batch, blocks_of(other), **options), rel=1e-4
        )
    # Blocks that were not rotated do not belong to it.
    assert loss_of(after, blocks_of(other)) > 100 * loss_of(after, found)


def test_choice_of_states_in_a_level(crystal, batch):
    """Phases, and any unitary mixture of Kramers partners."""
    random = np.random.default_rng(0)
    inputs, targets, weights = batch
    states = targets["k_states"][:, 0] + 1j * targets["k_states"][:, 1]
    size = 2 if crystal.is_spinful else 1
    mixed = states.reshape(*states.shape[:-1], -1, size)
    matrices = random.normal(size=(2, mixed.shape[-2], size, size))
    unitary = np.linalg.qr(matrices[0] + 1j * matrices[1])[0]
    mixed = np.einsum("nsipa,pab->nsipb", mixed, unitary).reshape(states.shape)
    mixed = np.stack([mixed.real, mixed.imag], axis=1)
    after = (inputs, {**targets, "k_states": mixed}, weights)
    other = blocks_of(disturbed(crystal, 1e-3))
    for options in ONLY.values():
        assert loss_of(after, other, **options) == pytest.approx(
            loss_of(batch, other, **options), rel=1e-6
        )
    errors = [states_errors(b, other) for b in (batch, after)]
    means = [np.abs(z).mean() for z in errors]
    # A mean of absolute values would tell the mixtures apart.
    is_same = means[1] == pytest.approx(means[0], rel=1e-6)
    assert is_same is not crystal.is_spinful


def test_the_diagonal_alone(crystal, batch):
    """Li et al.: levels without what mixes them."""
    other = blocks_of(disturbed(crystal, 1e-3))
    diagonal = np.diag(states_errors(batch, other))
    in_p = batch[1]["k_shares"][:, 0] > 0
    expected = 1000 * np.sqrt((np.abs(diagonal[in_p]) ** 2).mean())
    found = loss_of(batch, other, weight=1, q=0, diagonal=True)
    assert found == pytest.approx(expected, rel=1e-4)


def test_gradients(crystal, batch):
    inputs, targets, _ = batch
    other = blocks_of(disturbed(crystal, 1e-3))
    random = np.random.default_rng(1)
    for options in ({}, {"gauge": True}, {"diagonal": True, "q": 0}):
        loss = KSpaceLoss(**options)

        def function(*arrays, loss=loss):
            return loss(inputs, targets, dict(zip(BLOCKS, arrays)))

        arrays = [other[name] for name in BLOCKS]
        found = value_and_gradients(function, arrays, np.ones(()))[2]
        steps = [1e-8 * random.normal(size=x.shape) for x in arrays]
        ends = [
            run(function, *(x + s * d for x, d in zip(arrays, steps)))
            for s in (1, -1)
        ]
        expected = (ends[0] - ends[1]) / 2
        product = sum((g * d).sum() for g, d in zip(found, steps))
        assert product == pytest.approx(float(expected), rel=1e-4)


def test_two_structures_in_a_batch(crystal, batch, tmp_path):
    """The root of the mean over both, each at its wave vector."""
    second = dataclasses.replace(disturbed(crystal, 1e-2), name="second")
    crystals = (crystal, second)
    joined = k_space_data(tmp_path, crystals, 2, atom_bucket=5, **MESH)[0]
    targets = joined[1]
    assert len(joined[0]["species"]) == 5
    vectors = targets["k_vectors"]
    assert np.abs(vectors[0] - vectors[2]).max() > 0.1
    errors, squares = [], []
    for number, one in enumerate(crystals):
        error = blocks_of(disturbed(one, 1e-3, number))
        own = slice(2 * number, 2 * number + 2)
        kept = targets["k_structure"] == number
        alone = {
            **blocks_of(one),
            "k_vectors": vectors[own],
            "k_states": 2**0.25 * targets["k_states"][own][..., kept],
            "k_shares": targets["k_shares"][kept],
            "k_structure": targets["k_structure"][kept],
        }
        found = loss_of((batch[0], alone, None), error, gauge=True, **ONLY["q"])
        errors.append(error)
        squares.append(found**2)
    outputs = {
        name: np.concatenate([error[name] for error in errors])
        for name in BLOCKS
    }
    # Padding: whatever is there does not count.
    outputs = {
        name: np.concatenate([x, np.ones_like(x[:1])])
        for name, x in outputs.items()
    }
    found = loss_of(joined, outputs, gauge=True, **ONLY["q"])
    assert found == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-4)
    assert squares[0] != pytest.approx(squares[1], rel=1e-2)
