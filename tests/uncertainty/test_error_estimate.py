"""Expected errors and warnings of every kind of model."""

import ase.build
import keras
import numpy as np
import pytest
from small_stages import SMALL
from small_stages import small_stage

import keras_hamiltonian as kh
from keras_hamiltonian.evaluation.calibration import exponent
from keras_hamiltonian.evaluation.report import predicted_blocks
from keras_hamiltonian.models.hamiltonian_cascade import HamiltonianCascade
from keras_hamiltonian.physics.states import lowest_states
from keras_hamiltonian.prediction import predict_with_features
from keras_hamiltonian.uncertainty import ErrorEstimate
from keras_hamiltonian.uncertainty import ExpectedErrors
from keras_hamiltonian.uncertainty import level_warnings
from keras_hamiltonian.uncertainty.error_estimate import growth

on_torch = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new shape is compiled"
)
NUM_KNOWN, NUM_OTHERS = 6, 3


@pytest.fixture(scope="module")
def graphene(data_folder):
    return kh.HamiltonianStore(data_folder / "graphene.h5")


@pytest.fixture(scope="module")
def stage(graphene):
    return with_estimate(small_stage(graphene, NUM_KNOWN), graphene)


def with_estimate(model, store, num_known=NUM_KNOWN, num_others=NUM_OTHERS):
    known = [store[k] for k in range(num_known)]
    others = [store[NUM_KNOWN + k] for k in range(num_others)]
    model.error_estimate = kh.evaluation.fit_error_estimate(
        model, known, others
    )
    return model


def held_out(store):
    return store[NUM_KNOWN + NUM_OTHERS]


@on_torch
def test_expected_errors_of_a_structure_like_those_known(stage, graphene):
    calculation = held_out(graphene)
    prediction = kh.predict(stage, calculation, uncertainty=True)
    assert prediction.warnings == []
    expected = prediction.expected_errors
    plain = kh.predict(stage, calculation)
    assert plain.expected_errors is None
    measured = kh.metrics.MatrixErrors(stage.basis)
    measured.update(prediction.hamiltonian, calculation)
    observed = measured.result()["mae_all"]
    assert observed / 1.5 < expected.mae < 1.5 * observed
    assert expected.of_atoms.mean() == pytest.approx(expected.mae, rel=0.05)
    assert expected.blocks.index == prediction.hamiltonian.index
    np.testing.assert_allclose(
        plain.hamiltonian.entries, prediction.hamiltonian.entries, atol=1e-6
    )


@on_torch
def test_a_turned_crystal_expects_the_same(stage, graphene):
    atoms = held_out(graphene).atoms
    turned = atoms.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    one, two = (
        kh.predict(stage, a, uncertainty=True).expected_errors
        for a in (atoms, turned)
    )
    np.testing.assert_allclose(one.novelty, two.novelty, rtol=1e-2)
    np.testing.assert_allclose(one.of_atoms, two.of_atoms, rtol=1e-2)


@on_torch
def test_strange_structures_are_called_so(stage, graphene):
    strained = held_out(graphene).atoms
    strained.set_cell(strained.cell * [1.06, 1.06, 1], scale_atoms=True)
    with pytest.warns(UserWarning, match="interpolated"):
        found = kh.predict(stage, strained, uncertainty=True)
    kinds = {w["kind"]: w for w in found.warnings}
    assert len(kinds["environment"]["atoms"]) == len(strained)
    assert min(kinds["environment"]["values"]) > 3
    assert kinds["pairs"]["values"]
    usual = kh.predict(stage, held_out(graphene), uncertainty=True)
    assert found.expected_errors.mae > 2 * usual.expected_errors.mae
    large = ase.build.graphene(a=2.46, size=(5, 5, 1), vacuum=7.5)
    large.pbc = True
    warnings = kh.predict(stage, large).warnings
    (cell,) = [w for w in warnings if w["kind"] == "cell"]
    assert cell["values"] == pytest.approx([7.38], abs=0.01)


def test_levels_move_by_what_first_order_says(graphene):
    """Independent random errors of known size, and levels far apart."""
    crystal = kh.ElectronicStructure(graphene["050"])
    matrix, rng = crystal.hamiltonian, np.random.default_rng(0)
    size = 1e-5
    expected = ExpectedErrors(
        np.ones(len(crystal.atoms)),
        matrix.with_entries(np.full_like(matrix.entries, size)),
        crystal.calculation.num_orbitals,
        level_factor=1.0,
    )
    k_point = (0.1, 0.23, 0.0)
    exact = lowest_states(crystal.matrices, k_point)
    changes = []
    for _ in range(6):
        noise = matrix.with_entries(rng.normal(0, size, len(matrix.entries)))
        # The Hermitian part of independent numbers has half the variance.
        noise = np.sqrt(2) * noise.symmetrized().entries
        other = kh.physics.BlochMatrices(
            matrix.with_entries(matrix.entries + noise),
            crystal.overlap,
            crystal.calculation.num_orbitals,
        )
        found = lowest_states(other, k_point, coefficients=False)
        changes.append(found.energies - exact.energies)
    ratio = np.sqrt(np.mean(np.square(changes), axis=0))
    ratio = ratio / expected.of_levels(exact)
    assert np.exp(np.log(ratio).mean()) == pytest.approx(1, abs=0.15)
    # Those on small norms, at the top, move a thousand times as much.
    sizes = expected.of_levels(exact)
    assert sizes[-1] > 100 * sizes[10]
    assert level_warnings([exact], crystal.fermi_level) == []
    top = exact.energies[-1]
    (warning,) = level_warnings([exact], top)
    assert warning["values"][0][1] < 0.2


@on_torch
def test_false_levels_away_from_gamma_are_found():
    """Sheets 5.5 Å apart, unlike the training set of the preset: false levels
    move the Fermi level by eV, and at Γ there are none."""
    sheets = ase.build.graphene(vacuum=5.5 / 2)
    sheets.pbc = True
    stacked = kh.predict("graphene", sheets)
    level = stacked.fermi_level
    assert level_warnings([stacked.states((0, 0, 0))], level) == []
    (warning,) = stacked.level_warnings()
    norms = [norm for _, norm in warning["values"]]
    assert norms == sorted(norms) and norms[0] < 0.01
    assert "k = (" in warning["message"]
    # With what it advises the Fermi level is that of a sheet alone.
    alone = kh.predict("graphene", ase.build.graphene(vacuum=7.5))
    assert alone.level_warnings() == []
    model = kh.models.from_preset("graphene")
    model.overlap_threshold = 0.003
    mended = kh.predict(model, sheets)
    assert mended.level_warnings() == []
    assert abs(mended.fermi_level - alone.fermi_level) < 1.0
    assert abs(level - alone.fermi_level) > 2.0


@on_torch
@pytest.mark.parametrize("kind", ["equivariant", "transformer", "alone"])
def test_kinds_of_models_and_files(kind, graphene, tmp_path):
    known = [graphene[k] for k in range(2)]
    reaches = kh.physics.estimate_reaches(known)
    if kind == "alone":
        model = kh.models.StandaloneTransformerStage(
            graphene.basis.to_dict(), reaches, width=8, num_blocks=1
        )
        model.adapt(kh.HamiltonianDataset(known))
        model.overlap = kh.physics.TwoCentreOverlap.fit(known, reaches)
    else:
        first = small_stage(graphene)
        second = {
            "equivariant": kh.models.EquivariantTransformerStage,
            "transformer": kh.models.TransformerStage,
        }[kind]
        small = {"channels": 4, "hidden": 4} if kind == "equivariant" else {}
        model = HamiltonianCascade(
            first, second.for_stage(first, num_blocks=1, **small)
        )
    with_estimate(model, graphene, 2, 1)
    model.save(tmp_path / "model.keras")
    again = kh.load_model(tmp_path / "model.keras")
    atoms = held_out(graphene).atoms
    one, two = (
        kh.predict(m, atoms, uncertainty=True).expected_errors
        for m in (model, again)
    )
    assert one.mae > 0
    np.testing.assert_allclose(one.of_atoms, two.of_atoms, rtol=1e-5)
    assert again.is_symmetric == (kind == "equivariant")


def test_features_come_with_the_same_blocks(graphene):
    """On every backend, and with padding."""
    stage = small_stage(graphene)
    calculation = held_out(graphene)
    pairs = calculation.hamiltonian.atom_pairs
    found, features = predict_with_features(stage, calculation, pairs)
    plain = predicted_blocks(stage, calculation)
    np.testing.assert_allclose(found.entries, plain.entries, atol=1e-5)
    assert len(features) == SMALL["num_groups"] == len(stage.feature_irreps)
    assert {len(x) for x in features} == {len(calculation.atoms)}


def test_a_model_that_does_not_know_its_errors(graphene):
    stage, atoms = small_stage(graphene), held_out(graphene).atoms
    with pytest.raises(ValueError, match="fit_error_estimate"):
        kh.predict(stage, atoms, uncertainty=True)
    with pytest.raises(ValueError, match="symmetric by construction"):
        kh.predict(stage, atoms, num_rotations=2)
    with pytest.raises(ValueError, match="Received: 0 and 0"):
        kh.evaluation.fit_error_estimate(stage, [], [])


def test_growth_of_blocks():
    """With the mean of the squares of both atoms."""
    novelty = np.array([1.0, 4.0])
    matrix = kh.BlockMatrix.from_blocks(
        [(0, 0, 0, 0, 0), (0, 0, 0, 0, 1), (0, 0, 0, 1, 0)],
        [np.ones((1, 1))] * 3,
    )
    factors = growth(matrix, novelty, {"onsite": 2.0, "hopping": 1.0})
    # The mean of the squares is 8.5.
    np.testing.assert_allclose(factors, [4.75, 8.5**0.5, 8.5**0.5])


def test_growth_is_learnt_as_far_as_novelties_differ():
    """Errors grow as the square; of one cell novelties differ by 15 %."""
    random = np.random.default_rng(0)
    scatter = random.normal(0, 0.15, 16)
    kinds = np.repeat([0.0, 1.2], 8)
    spread = random.normal(0, 0.15, 16)
    one_cell, two = (
        exponent(np.column_stack([x, 2 * x + scatter]))
        for x in (spread, spread + kinds)
    )
    assert two == pytest.approx(2, abs=0.25)
    assert 1.2 < one_cell < 1.8
    # A single structure, or none, tells nothing.
    assert exponent([np.array([1.0, 5.0])]) == exponent([]) == 1
    assert exponent(np.column_stack([spread, 0 * spread - scatter])) < 1


def test_what_stands_in_a_file(stage):
    config = stage.error_estimate.to_dict()
    again = ErrorEstimate.from_dict(config)
    assert again.to_dict() == config
