"""What each part of the method is worth: train without it, at equal cost.

    python recipes/ablate.py graphene --seconds 120
    python recipes/ablate.py graphene --seconds 120 --parts first
    python recipes/ablate.py graphene --seconds 120 --parts initial

Every row of the table has the same budget of CPU seconds. A cascade spends
three quarters of it on the first stage, which cascades of a seed share.
Everything lands in runs/ablations/<material>/; what is done is not repeated.

Rows of the cascade: the first stage alone; both second stages; and the
ablations of Yin et al. (arXiv 2401.00744): A, no cascade; B, no covariant
features; C, no attention. Rows of the first stage: what it has beyond
DeepH-E3, one at a time. Rows of H⁰, the zeroth-step Hamiltonian of the data:
what the first stage makes of it, alone and with a second one. Rows of TraceGrad
(arXiv 2405.05722): its halves in the first stage. Rows of NextHAM (arXiv
2509.19877): its network, made of our layers, in place of the first stage's.
"""

import argparse
import pathlib

import keras_hamiltonian as kh  # before Keras, to choose the backend

import keras

DATA = pathlib.Path(__file__).parent / "data"
MEV_PER_EV = kh.conventions.MEV_PER_EV
FIRST_SHARE = 0.75

ALONE = {"second_stage": "none"}
TRANSFORMER = {"second_stage": "transformer", "second_learning_rate": 3e-3}
CASCADES = {
    "first stage alone": ALONE,
    "cascade, symmetric second stage": {"second_stage": "equivariant"},
    "cascade, Transformer": TRANSFORMER,
    "A: Transformer, no cascade": {
        **ALONE,
        "first_stage": "keras_hamiltonian.models:StandaloneTransformerStage",
        "first_learning_rate": 3e-3,
        "first_weight_decay": 0.5,
    },
    "B: Transformer, no covariant features": {
        **TRANSFORMER,
        "second_options": {"alpha": 0.0, "beta": 0.0, "gamma": 0.0},
    },
    "C: Transformer, no attention": {
        **TRANSFORMER,
        "second_options": {"attention": False},
    },
}
FIRST_STAGES = {
    "first stage": ALONE,
    "no projectors": {**ALONE, "first_options": {"projectors": ""}},
    "no two-centre baseline": {**ALONE, "first_options": {"two_centre": False}},
    "no channel scales": {**ALONE, "first_options": {"channel_scales": False}},
    "no Hermitian average": {**ALONE, "first_options": {"hermitian": False}},
    "norm over the whole graph": {**ALONE, "first_options": {"norm": "graph"}},
    "mean squared error as loss": {**ALONE, "loss": "mean_squared"},
}
CORRECTED = {"initial": "correct"}
BOTH = {"initial": "both"}
SYMMETRIC = {"second_stage": "equivariant"}
WITH_INITIAL = {
    "H": ALONE,
    "H, cascade": SYMMETRIC,
    "H, H⁰ as input": {**ALONE, "initial": "input"},
    "H - H⁰": {**ALONE, **CORRECTED},
    "H - H⁰, cascade": {**SYMMETRIC, **CORRECTED},
    "H - H⁰, H⁰ as input": {**ALONE, **BOTH},
    "H - H⁰, H⁰ as input, cascade": {**SYMMETRIC, **BOTH},
}
TRACEGRAD = {
    f"{name}, TraceGrad: {part}": {
        **variant,
        "first_options": {"tracegrad": option},
    }
    for name, variant in {"H": ALONE, "H - H⁰": {**ALONE, **CORRECTED}}.items()
    for part, option in {
        "none": None,
        "trace": "trace",
        "gradient": "gradient",
        "trace and gradient": "both",
    }.items()
}
ATTENTION = {"interaction": "keras_hamiltonian.layers:AttentionGroup"}
WHOLE = {**ATTENTION, "num_groups": 4, "tracegrad": "both"}
NEXTHAM = {
    "H": ALONE,
    "H, attention": {**ALONE, "first_options": ATTENTION},
    "H - H⁰, H⁰ as input": {**ALONE, **BOTH},
    "H - H⁰, H⁰ as input, attention": {
        **ALONE,
        **BOTH,
        "first_options": ATTENTION,
    },
    "NextHAM: the same, four groups, TraceGrad": {
        **ALONE,
        **BOTH,
        "first_options": WHOLE,
    },
}
PARTS = {
    "cascade": CASCADES,
    "first": FIRST_STAGES,
    "initial": WITH_INITIAL,
    "tracegrad": TRACEGRAD,
    "nextham": NEXTHAM,
}
# The table needs the errors of the matrices alone.
ERRORS_ALONE = {
    "num_spectra": 0,
    "num_rotations": 0,
    "largest_cell": 0,
    "num_k_points": 0,
    "num_predictions": 0,
}


def main(options):
    """Trains what is missing, then prints the table."""
    variants, rows = {}, {}
    for part in PARTS if options.parts == "all" else [options.parts]:
        variants |= PARTS[part]
    for name, variant in variants.items():
        for seed in options.seeds:
            stage = None
            if variant["second_stage"] != "none":
                stage = shared_stage(options, seed, variant.get("initial"))
            budget = {"seconds": options.seconds, "seed": seed}
            report = train(
                f"{slug(name)}_{seed}", options, stage, **budget, **variant
            )
            rows.setdefault(name, []).append(report["errors"])
            print(f"{name}, seed {seed}: {describe([report['errors']])}")
    text = table(rows, options)
    (folder(options) / f"table_{options.parts}.md").write_text(text)
    print(f"\n{text}")


def shared_stage(options, seed, initial):
    """File of the first stage that all cascades of a seed share."""
    name = f"shared_{initial}_{seed}" if initial else f"shared_{seed}"
    seconds = FIRST_SHARE * options.seconds
    train(name, options, seconds=seconds, seed=seed, initial=initial, **ALONE)
    return folder(options) / name / "model.keras"


def train(name, options, stage=None, **settings):
    """The report of one training."""
    keras.utils.clear_session()  # frees the memory of the one before
    return kh.train(
        options.data or DATA / f"{options.material}.h5",
        options.split,
        kh.training.TrainingSettings(first_share=FIRST_SHARE, **settings),
        folder(options) / name,
        name="model",
        stage=stage,
        again=options.again,
        **ERRORS_ALONE,
    )


def folder(options):
    """Where everything lands."""
    return options.output / options.material


def describe(errors):
    """Mean of several runs, in meV, with the spread of MAE_all."""
    values = [
        [MEV_PER_EV * e[key] for e in errors]
        for key in ("mae_all", "mae_cha", "gauge_free_mae")
    ]
    mean, worst, free = (sum(v) / len(v) for v in values)
    spread = ""
    if len(errors) > 1:
        spread = f" ({min(values[0]):.3f} to {max(values[0]):.3f})"
    return f"{mean:.3f}{spread} / {worst:.3f} / {free:.3f}"


def table(rows, options):
    """Markdown."""
    seeds = ", ".join(map(str, options.seeds))
    lines = [
        f"{options.material}, {options.seconds:g} CPU seconds each, seed "
        f"{seeds}; MAE_all / MAE_cha / mean MAE after the best shift of the "
        "energy zero, of the test structures, meV",
        "",
        "| variant | error | relative to the first row |",
        "|---|---|---|",
    ]
    reference = None
    for name, errors in rows.items():
        mean = sum(e["mae_all"] for e in errors) / len(errors)
        reference = reference or mean
        share = 100 * (mean / reference - 1)
        lines.append(f"| {name} | {describe(errors)} | {share:+.0f} % |")
    return "\n".join([*lines, ""])


def slug(name):
    """A name for a folder."""
    kept = "".join(c if c.isalnum() else "_" for c in name.lower())
    return "_".join(filter(None, kept.split("_")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("material", nargs="?", default="graphene")
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="CPU seconds of each row"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--parts", choices=[*PARTS, "all"], default="cascade")
    parser.add_argument("--again", action="store_true", help="repeat all")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--split", type=pathlib.Path)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path("runs/ablations")
    )
    main(parser.parse_args())
