"""What a training step of the first stage costs with other groups and options.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE \\
        pytest tests/benchmarks/test_first_stage_cost.py --benchmark-only -s

Graphene, 18 atoms, stages of default size, alternating; the peer is the
default one. Nothing fails because of a time.
"""

import keras
import pytest
from alternating import alternate
from compiled_stage import compiled_stage

import keras_hamiltonian as kh

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="measured on the default backend"
)
OPTIONS = {
    "attention": {"interaction": "keras_hamiltonian.layers:AttentionGroup"},
    "dropout": {"dropout": 0.1},
    "edge_dropout": {"edge_dropout": 0.1},
    "H⁰ corrected": {"initial": "correct"},
    "H⁰ as input": {"initial": "input"},
    "H⁰ corrected, as input": {"initial": "both"},
    "default": {},
}


def test_step_of_the_first_stage(benchmark, data_folder):
    graphene = kh.HamiltonianStore(data_folder / "graphene.h5")

    def step(options):
        batch = kh.HamiltonianDataset(
            graphene, graphene.names[:1], initial="initial" in options
        )[0]
        stage = compiled_stage(graphene, **options)
        return lambda: stage.train_on_batch(*batch)

    steps = {name: step(options) for name, options in OPTIONS.items()}
    medians = alternate(
        benchmark,
        "training step of the first stage, 18 atoms",
        rounds=15,
        **steps,
    )
    for name in OPTIONS:
        ratio = medians[name] / medians["default"]
        benchmark.extra_info[f"{name} / default"] = ratio
