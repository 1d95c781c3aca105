"""Small untrained stages of the embedded data sets."""

import keras_hamiltonian as kh

SMALL = {
    "irreps": "8x0e + 4x1o + 4x2e + 2x3o + 2x4e",
    "num_groups": 2,
    "num_gaussians": 8,
    "radial_units": (8, 8),
}
# NextHAM's network, for multiplicities of any size.
ATTENTION = {"class": "keras_hamiltonian.layers:AttentionGroup", "num_heads": 1}


def small_stage(store, num_structures=2, **options):
    """A stage with baseline, overlap and provenance, not trained."""
    known = [store[k] for k in range(min(num_structures, len(store)))]
    reaches = kh.physics.estimate_reaches(store)
    stage = kh.models.EquivariantStage(
        store.basis.to_dict(), reaches, spin=store.spin, **SMALL, **options
    )
    stage.adapt(kh.HamiltonianDataset(known))
    stage.overlap = kh.physics.TwoCentreOverlap.fit(known, reaches)
    stage.provenance = kh.models.training_provenance(known, seed=7)
    return stage
