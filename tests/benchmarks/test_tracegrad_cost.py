"""What the halves of TraceGrad add to a training step.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks/test_tracegrad_cost.py --benchmark-only -s

Graphene, 18 atoms, stages of default size, alternating; the peer is the stage
without the option. Nothing fails because of a time.
"""

import keras
import pytest
from alternating import alternate

import keras_hamiltonian as kh

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="measured on the default backend"
)
LOSS = kh.losses.BlockMeanAbsoluteError()


@pytest.fixture(scope="module")
def graphene(data_folder):
    return kh.HamiltonianStore(data_folder / "graphene.h5")


def step(model, batch):
    """A training step, as a function without arguments."""
    joint_losses = []
    if "hopping_traces" in model.output:
        shells = model.basis.table_shells
        joint_losses = [kh.losses.TraceLoss(shells, LOSS)]
    model.compile(
        keras.optimizers.Adam(1e-4),
        loss=LOSS,
        joint_losses=joint_losses,
        jit_compile=False,
    )
    return lambda: model.train_on_batch(*batch)


@pytest.mark.parametrize("number", ["first", "second"])
def test_step_with_and_without(benchmark, graphene, number):
    reaches = kh.physics.estimate_reaches(graphene)
    batch = kh.HamiltonianDataset(graphene, graphene.names[:1])
    arguments = graphene.basis.to_dict(), reaches
    stage = kh.models.EquivariantStage(*arguments)

    def make(tracegrad):
        if number == "first":
            return kh.models.EquivariantStage(*arguments, tracegrad=tracegrad)
        return kh.models.EquivariantTransformerStage.for_stage(
            stage, tracegrad=tracegrad
        )

    if number == "second":
        batch = kh.models.StageFeatures(stage, batch)
    medians = alternate(
        benchmark,
        f"training step of the {number} stage, 18 atoms",
        rounds=15,
        trace=step(make("trace"), batch[0]),
        gradient=step(make("gradient"), batch[0]),
        both=step(make("both"), batch[0]),
        without=step(make(None), batch[0]),
    )
    for name in ("trace", "gradient", "both"):
        ratio = medians[name] / medians["without"]
        benchmark.extra_info[f"{name} / without"] = ratio
