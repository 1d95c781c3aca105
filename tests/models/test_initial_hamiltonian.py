"""Models that take H⁰: corrections of it, and its blocks as features."""

import dataclasses

import ase
import keras
import numpy as np
import pytest
from small_stages import ATTENTION

import keras_hamiltonian as kh
from keras_hamiltonian.data.batch import batch_matrices
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix
from keras_hamiltonian.orbitals.gauge import gauge_shift
from keras_hamiltonian.orbitals.gauge import shifted
from keras_hamiltonian.physics import EnergyShift
from keras_hamiltonian.prediction import predict_hamiltonian
from keras_hamiltonian.structures.neighbors import neighbor_table
from keras_hamiltonian.structures.neighbors import pairs_within
from keras_hamiltonian.testing import assert_blocks_equivariant
from keras_hamiltonian.testing import assert_permutation_equivariant

TINY = {
    "irreps": "4x0e + 3x1o + 2x2e",
    "num_groups": 2,
    "num_gaussians": 8,
    "radial_units": (8,),
}
MODES = ["correct", "input", "both"]
# Each backend but torch compiles every model anew.
torch_only = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="every new model is compiled"
)


def with_h0(calculation, shift=-1.5):
    """H⁰ that rotates as H does: an eighth of all numbers less, shifted."""
    weaker = calculation.hamiltonian
    weaker = weaker.with_entries(0.875 * weaker.entries)
    weaker = shifted(weaker, -shift, calculation.overlap)
    return dataclasses.replace(calculation, initial_hamiltonian=weaker)


@pytest.fixture(scope="module", params=["graphene", "bismuthene"])
def cell(request, data_folder):
    store = kh.HamiltonianStore(data_folder / f"reference_{request.param}.h5")
    return with_h0(store[0])


def stage_for(cell, initial, dtype="float64", noise=0.2, **options):
    reaches = kh.physics.estimate_reaches([cell])
    stage = kh.models.EquivariantStage(
        cell.basis.to_dict(),
        reaches,
        spin=cell.spin,
        dtype=dtype,
        initial=initial,
        **{**TINY, **options},
    )
    stage.adapt(kh.HamiltonianDataset([cell], initial=True))
    random = np.random.default_rng(0)
    for weight in stage.trainable_weights:
        added = noise * random.normal(size=weight.shape)
        weight.assign(keras.ops.convert_to_numpy(weight) + added)
    return stage


def inputs_of(cell):
    return kh.HamiltonianDataset([cell], initial=True)[0][0]


@torch_only
@pytest.mark.parametrize("interaction", [None, ATTENTION], ids=str)
@pytest.mark.parametrize("initial", MODES)
def test_symmetry(cell, initial, interaction):
    stage = stage_for(cell, initial, interaction=interaction)
    inputs = {
        name: x.astype("float64") if x.dtype == "float32" else x
        for name, x in inputs_of(cell).items()
    }
    shells = cell.basis.table_shells
    options = {"spin": cell.spin, "tolerance": 1e-10}
    assert_blocks_equivariant(stage.predict_on_batch, inputs, shells, **options)
    assert_permutation_equivariant(stage.predict_on_batch, inputs, 1e-10)
    fixed = keras.ops.convert_to_tensor(inputs["initial_onsite"])

    def without_rotation(moved):
        return stage.predict_on_batch({**moved, "initial_onsite": fixed})

    with pytest.raises(AssertionError, match="onsite"):
        assert_blocks_equivariant(without_rotation, inputs, shells, **options)


@torch_only
@pytest.mark.parametrize("initial", MODES)
def test_blocks_are_hermitian_and_obey_time_reversal(cell, initial):
    found = predict_hamiltonian(stage_for(cell, initial), cell)
    assert found.hermitian_error() < 1e-5
    if cell.is_spinful:
        n = found.shapes // 2
        for block, (rows, columns) in zip(found.blocks(), n):
            up, down = block[:rows, :columns], block[rows:, columns:]
            mixed, other = block[:rows, columns:], block[rows:, :columns]
            np.testing.assert_allclose(down, up.conj(), atol=1e-5)
            np.testing.assert_allclose(other, -mixed.conj(), atol=1e-5)


@torch_only
def test_without_anything_to_learn_h0_comes_out(cell):
    same = dataclasses.replace(cell, initial_hamiltonian=cell.hamiltonian)
    stage = stage_for(same, "correct", noise=0.0)
    found = predict_hamiltonian(stage, same)
    np.testing.assert_allclose(
        found.entries, cell.hamiltonian.entries, atol=2e-6
    )
    control = stage_for(same, "input", noise=0.0)
    found = predict_hamiltonian(control, same)
    assert np.abs(found.entries - cell.hamiltonian.entries).max() > 0.01


@torch_only
def test_spin_orbit_terms_are_those_of_h0(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_bismuthene.h5")
    cell = with_h0(store[0])
    stage = stage_for(cell, "correct", dtype="float32")
    assert stage.spin_free and stage.spin == "noncollinear"
    inputs = inputs_of(cell)
    added = stage.predict_on_batch(inputs)["hopping"]
    added = added - inputs["initial_hopping"]
    up = added[..., 0, 0, 0, :, :]
    assert np.abs(up).max() > 0.1
    np.testing.assert_allclose(up, added[..., 0, 1, 1, :, :], atol=1e-6)
    for spins in ((0, 0, 1), (0, 1, 0)):
        assert not added[(..., *spins, slice(None), slice(None))].any()
    assert not added[..., 1, :, :, :, :].any()
    whole = stage_for(cell, "input")
    assert whole.count_params() > stage.count_params()


def test_targets_have_the_energy_zero_of_h0(cell):
    inputs, targets, _ = kh.HamiltonianDataset([cell], initial=True)[0]
    table = neighbor_table(cell.atoms, cell.hamiltonian.atom_pairs)
    blocks = {name: np.asarray(x, float) for name, x in targets.items()}
    label = batch_matrices(blocks, [cell.atoms], [table], cell.basis)[0]
    h0, overlap = cell.initial_hamiltonian, cell.overlap
    assert gauge_shift(label, h0, overlap) == pytest.approx(0, abs=1e-5)
    shift = gauge_shift(cell.hamiltonian, h0, overlap)
    np.testing.assert_allclose(
        shifted(label, shift, overlap).entries,
        cell.hamiltonian.entries,
        atol=5e-5,
    )
    # An eighth of H, as far as S explains it, and -1.5 eV.
    none = BlockMatrix(h0.atom_pairs, h0.shapes, 0 * h0.entries)
    eighth = gauge_shift(cell.hamiltonian, none, overlap) / 8
    assert shift == pytest.approx(eighth - 1.5, abs=1e-5)
    bare = dataclasses.replace(cell, overlap=None)
    same = kh.HamiltonianDataset(
        [bare], initial=True, overlap=lambda atoms: overlap
    )
    np.testing.assert_array_equal(same[0][1]["onsite"], targets["onsite"])
    raw = kh.HamiltonianDataset([cell])[0]
    assert "initial_onsite" not in raw[0]
    assert np.abs(raw[1]["onsite"] - targets["onsite"]).max() > 0.5


@torch_only
def test_locality():
    """H⁰ far away does not matter."""
    atoms = ase.Atoms("C14", [[2.5 * k, 0, 0] for k in range(14)], cell=None)
    basis, reaches = kh.OrbitalBasis({"C": "2s 2p 1d"}), {"C": 3.2}
    pairs = pairs_within(atoms, reaches)
    random = np.random.default_rng(0)
    blocks = [random.normal(size=(13, 13)) for _ in pairs]
    h0 = BlockMatrix.from_blocks(pairs, blocks).symmetrized()
    cell = kh.Calculation(atoms, basis, initial_hamiltonian=h0)
    stage = kh.models.EquivariantStage(
        basis.to_dict(),
        reaches,
        initial="both",
        dtype="float64",
        **{**TINY, "num_groups": 1},
    )
    for weight in stage.trainable_weights:
        weight.assign(random.normal(size=weight.shape) * 0.3)
    plain = predict_hamiltonian(stage, cell)
    h0 = h0.with_entries(h0.entries.copy())
    h0.find((0, 0, 0, 0, 0))[:] += np.eye(13)
    moved = predict_hamiltonian(
        stage, dataclasses.replace(cell, initial_hamiltonian=h0)
    )
    change = [
        np.abs(moved.find(p) - plain.find(p)).max()
        for p in ((0, 0, 0, k, k) for k in range(14))
    ]
    assert change[0] > 0.5 and change[1] > 1e-3 and max(change[8:]) == 0


@torch_only
def test_each_structure_has_its_own_h0(cell):
    stage = stage_for(cell, "correct", dtype="float32")
    pair = [cell.atoms, cell.atoms]
    h0, s = cell.initial_hamiltonian, cell.overlap
    expected = kh.predict(stage, cell.atoms, initial=(h0, s)).hamiltonian
    other = h0.with_entries(2 * h0.entries)
    found = kh.predict(stage, pair, initial=[(h0, s), (other, s)])
    assert found[0].hamiltonian == expected != found[1].hamiltonian
    for wrong in (h0, (h0, s), cell, [h0]):
        with pytest.raises(ValueError, match="2 structures is a list"):
            kh.predict(stage, pair, initial=wrong)
    with pytest.raises(ValueError, match="`overlap` of 2 .*Received: one"):
        kh.predict(stage, pair, overlap=s, initial=lambda atoms: (h0, s))


def test_h0_of_other_atoms(cell):
    """Atoms in another order: the same shapes, pairs that are none."""
    stage = stage_for(cell, "correct", dtype="float32")
    atoms = cell.atoms.copy()
    atoms.positions[0] += atoms.cell[0]
    with pytest.raises(ValueError, match="Å apart where orbitals reach"):
        kh.predict(
            stage, atoms, initial=(cell.initial_hamiltonian, cell.overlap)
        )


@torch_only
def test_prediction_takes_h0_in_every_form(cell, tmp_path):
    stage = stage_for(cell, "correct", dtype="float32")
    stage.energy_shift = EnergyShift([{"mean": 0.25, "invariants": {}}])
    expected = kh.predict(stage, cell)
    # The energy zero of the set: μS above that of H⁰.
    stage.energy_shift = None
    plain = kh.predict(stage, cell)
    stage.energy_shift = EnergyShift([{"mean": 0.25, "invariants": {}}])
    np.testing.assert_allclose(
        expected.hamiltonian.entries,
        shifted(plain.hamiltonian, 0.25, cell.overlap).entries,
        atol=1e-6,
    )
    h0_run = dataclasses.replace(
        cell, hamiltonian=cell.initial_hamiltonian, initial_hamiltonian=None
    )
    file = tmp_path / "h0.npz"
    kh.ElectronicStructure(h0_run).write(file)
    h0, overlap = cell.initial_hamiltonian, cell.overlap
    for initial in (cell, h0_run, file, lambda atoms: (h0, overlap)):
        found = kh.predict(stage, cell.atoms, initial=initial)
        order = [found.hamiltonian.index[p] for p in h0.index]
        np.testing.assert_allclose(
            found.hamiltonian.select(order).entries,
            expected.hamiltonian.entries,
            atol=1e-5,
        )
        assert found.overlap is not None


def test_what_is_missing_is_said(cell):
    stage = stage_for(cell, "correct", dtype="float32")
    with pytest.raises(ValueError, match="scf.maxIter 1.*SCF.Mix"):
        kh.predict(stage, cell.atoms)
    other = cell.atoms.copy()
    other.positions[0] += 0.1
    with pytest.raises(ValueError, match="differ by up to 0.1 Å"):
        kh.predict(stage, other, initial=cell)
    with pytest.raises(ValueError, match="`initial` is a .*Received: 3"):
        kh.predict(stage, cell.atoms, initial=3)
    plain = stage_for(cell, None, dtype="float32")
    with pytest.raises(ValueError, match="takes no H⁰.*Leave out `initial`"):
        kh.predict(plain, cell.atoms, initial=cell)
    without = dataclasses.replace(cell, initial_hamiltonian=None)
    with pytest.raises(ValueError, match="has no H⁰"):
        kh.HamiltonianDataset([without], initial=True)[0]
    with pytest.raises(ValueError, match="initial=True"):
        stage.evaluate(kh.HamiltonianDataset([cell]))
    with pytest.raises(ValueError, match="\"correct\".*Received: 'h0'"):
        stage_for(cell, "h0")
    pairs = cell.initial_hamiltonian.select(range(3))
    with pytest.raises(ValueError, match="lacks"):
        kh.HamiltonianDataset(
            [dataclasses.replace(cell, initial_hamiltonian=pairs)],
            initial=True,
        )[0]


@pytest.mark.parametrize("initial", MODES)
def test_saving(cell, initial, tmp_path):
    if keras.config.backend() != "torch" and (
        initial != "both" or cell.is_spinful
    ):
        pytest.skip("every new model is compiled")
    stage = stage_for(cell, initial, dtype="float32")
    stage.energy_shift = EnergyShift.fit([cell])
    stage.save(tmp_path / "stage.keras")
    loaded = kh.load_model(tmp_path / "stage.keras")
    assert (
        loaded.takes_initial
        and loaded.energy_shift.to_dict() == stage.energy_shift.to_dict()
    )
    inputs = inputs_of(cell)
    expected = stage.predict_on_batch(inputs)
    for name, blocks in loaded.predict_on_batch(inputs).items():
        np.testing.assert_array_equal(blocks, expected[name])


@pytest.mark.slow
@torch_only
@pytest.mark.parametrize(
    "second", ["EquivariantTransformerStage", "TransformerStage"]
)
def test_cascade(cell, second, tmp_path):
    stage = stage_for(cell, "both", dtype="float32")
    refinement = getattr(kh.models, second).for_stage(stage)
    assert refinement.spin_free == cell.is_spinful
    cascade = kh.models.HamiltonianCascade(stage, refinement)
    data = kh.HamiltonianDataset([cell], initial=True)
    features = cascade.features(data)
    assert "initial_onsite" not in features[0][0]
    inputs = data[0][0]
    before = stage.predict_on_batch(inputs)
    after = cascade.predict_on_batch(inputs)
    np.testing.assert_array_equal(after["hopping"], before["hopping"])
    refinement.adapt(features)
    refinement.compile("adam", loss=kh.losses.BlockMeanAbsoluteError())
    refinement.fit(features, epochs=3, verbose=0)
    after = cascade.predict_on_batch(inputs)
    change = after["hopping"] - before["hopping"]
    assert np.abs(change).max() > 1e-6
    if cell.is_spinful:
        assert not change[..., 1, :, :, :, :].any()
    cascade.energy_shift = EnergyShift([{"mean": 0.5, "invariants": {}}])
    cascade.save(tmp_path / "cascade.keras")
    loaded = kh.load_model(tmp_path / "cascade.keras")
    assert loaded.takes_initial and loaded.energy_shift.levels[0]["mean"] == 0.5
    error = kh.evaluation.equivariance_error(loaded, cell, num_rotations=2)
    if second == "EquivariantTransformerStage":
        assert error["relative"] < 1e-4
