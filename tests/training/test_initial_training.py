"""Training on corrections of H⁰."""

import keras
import pytest

import keras_hamiltonian as kh

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="trains several models"
)
SMALL = {
    "irreps": "8x0e + 4x1o + 4x2e + 2x3o + 2x4e",
    "num_groups": 1,
    "num_gaussians": 8,
    "radial_units": (8,),
}
QUICK = {
    "num_spectra": 0,
    "num_rotations": 1,
    "largest_cell": 1,
    "num_k_points": 0,
    "num_predictions": 1,
}


def train(store, folder, initial, steps=8):
    settings = kh.training.TrainingSettings(
        steps=steps, initial=initial, first_options=SMALL
    )
    split = kh.data.Split(store.names[:3], store.names[3:4], store.names[4:6])
    return kh.train(store, split, settings, folder, **QUICK)


@pytest.mark.slow
def test_corrections_with_spin_orbit_coupling(data_folder, tmp_path):
    store = kh.HamiltonianStore(data_folder / "bismuthene.h5")
    report = train(store, tmp_path / "h0", "both")
    model = kh.load_model(tmp_path / "h0" / report["files"]["model"])
    # The mean over ten calculations is 0.193 eV.
    (level,) = model.energy_shift.levels
    assert level["mean"] == pytest.approx(0.193, abs=0.03)
    assert [stage.spin_free for stage in model.stages()] == [True, True]
    errors = report["errors"]
    # H - H⁰ - μS is 0.9 meV on the mean, H 78 meV.
    assert errors["gauge_free_mae"] < 0.9e-3
    assert errors["mae_all"] < 2e-3
    assert report["equivariance"]["relative"] < 1e-5
    control = train(store, tmp_path / "h", None)["errors"]
    assert control["gauge_free_mae"] > 3 * errors["gauge_free_mae"]
    # An H⁰ that is wrong gives a wrong prediction.
    known = store[5]
    h0 = known.initial_hamiltonian
    wrong = h0.with_entries(1.1 * h0.entries)
    wrong = kh.predict(model, known.atoms, initial=wrong)
    right = kh.predict(model, known.atoms, initial=known)
    error = kh.metrics.mean_absolute_error
    assert error(right.hamiltonian, known.hamiltonian) < 2e-3
    assert error(wrong.hamiltonian, known.hamiltonian) > 5e-3


def test_a_set_without_h0_is_refused(data_folder, tmp_path):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    bare = kh.HamiltonianStore.write(
        tmp_path / "bare.h5",
        [
            kh.Calculation(
                c.atoms,
                c.basis,
                hamiltonian=c.hamiltonian,
                overlap=c.overlap,
                name=f"{k}",
            )
            for k in range(6)
            for c in store
        ],
    )
    with pytest.raises(ValueError, match="6 of 6 structures have no H⁰"):
        train(bare, tmp_path / "run", "correct")


def test_a_stage_that_takes_no_h0_is_refused():
    with pytest.raises(ValueError, match="no argument `initial`"):
        kh.training.TrainingSettings(
            first_stage="keras_hamiltonian.models:StandaloneTransformerStage",
            second_stage="none",
            initial="both",
        )
    with pytest.raises(ValueError, match="'correct', 'input' or 'both'"):
        kh.training.TrainingSettings(initial="h0")
