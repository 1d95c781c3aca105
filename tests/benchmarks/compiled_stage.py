"""The first stage whose training steps are measured."""

import keras

import keras_hamiltonian as kh


def compiled_stage(store, joint_losses=(), **options):
    """A first stage of default sizes for the crystals of a store, compiled.

    Args:
        store: `HamiltonianStore`.
        joint_losses: see `Stage.compile`.
        **options: of `EquivariantStage`.
    """
    stage = kh.models.EquivariantStage(
        store.basis.to_dict(),
        kh.physics.estimate_reaches(store),
        spin=store.spin,
        **options,
    )
    stage.compile(
        keras.optimizers.Adam(1e-4),
        loss=kh.losses.BlockMeanAbsoluteError(),
        joint_losses=joint_losses,
        jit_compile=False,
    )
    return stage
