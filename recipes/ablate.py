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
(arXiv 2405.05722): each of these, also with parts of it in all stages. Rows of
NextHAM (arXiv 2509.19877): its network, made of our layers, in place of the
first stage's.
"""

import argparse
import pathlib

import keras_hamiltonian as kh  # before Keras, to choose the backend

import keras

DATA = pathlib.Path(__file__).parent / "data"
MEV_PER_EV = kh.conventions.MEV_PER_EV
FIRST_SHARE = 0.75
WINDOW = 3.0

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


def is_cascade(variant):
    """Whether these settings have a second stage."""
    return variant["second_stage"] != "none"


BOTH = {"initial": "both"}
SYMMETRIC = {"second_stage": "equivariant"}
# What the network learns, and whether it sees H⁰.
LABELS = {
    "H": {},
    "H - H⁰": {"initial": "correct"},
    "H, H⁰ as input": {"initial": "input"},
    "H - H⁰, H⁰ as input": BOTH,
}
WITH_INITIAL = {
    f"{name}{ending}": {**stages, **label}
    for name, label in LABELS.items()
    for ending, stages in {"": ALONE, ", cascade": SYMMETRIC}.items()
}
# Each row of H⁰, also with parts of TraceGrad in all its stages.
TRACEGRAD = {
    name + words: {
        **variant,
        **{
            f"{stage}_options": {"tracegrad": option}
            for stage in ("first", "second")
            if option and (stage == "first" or is_cascade(variant))
        },
    }
    for name, variant in WITH_INITIAL.items()
    for words, option in {
        "": None,
        ", traces": "trace",
        ", traces and gradient": "both",
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
# The table needs the errors of matrices, and levels of a few structures.
ERRORS_ALONE = {
    "num_spectra": 4,
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
            if is_cascade(variant):
                stage = shared_stage(options, seed, variant)
            budget = {"seconds": options.seconds, "seed": seed}
            report = train(
                f"{slug(name)}_{seed}", options, stage, **budget, **variant
            )
            rows.setdefault(name, []).append(report)
            print(f"{name}, seed {seed}: {describe([report])}")
    text = table(rows, options)
    kh.files.write_text(folder(options) / f"table_{options.parts}.md", text)
    print(f"\n{text}")


def shared_stage(options, seed, variant):
    """File of the first stage that cascades of a seed share."""
    initial = variant.get("initial")
    first = variant.get("first_options", {})
    parts = ["shared", initial or "", *first.values(), seed]
    name = slug(" ".join(map(str, parts)))
    train(
        name,
        options,
        seconds=FIRST_SHARE * options.seconds,
        seed=seed,
        initial=initial,
        first_options=first,
        **ALONE,
    )
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
        window=WINDOW,
        **ERRORS_ALONE,
    )


def folder(options):
    """Where everything lands."""
    return options.output / options.material


def describe(reports):
    """Means of several runs, in meV, with the spread of MAE_all."""
    keys = ("mae_all", "mae_cha", "gauge_free_mae")
    values = [[r["errors"][key] for r in reports] for key in keys]
    for key in ("window_mae", "gauge_free_window_mae"):
        values.append([r["levels"][key] for r in reports if r["levels"]])
    found = [
        f"{MEV_PER_EV * sum(v) / len(v):.3f}" if v else "-" for v in values
    ]
    if len(reports) > 1:
        low, high = MEV_PER_EV * min(values[0]), MEV_PER_EV * max(values[0])
        found[0] += f" ({low:.3f} to {high:.3f})"
    return " / ".join(found)


def table(rows, options):
    """Markdown."""
    seeds = ", ".join(map(str, options.seeds))
    lines = [
        f"{options.material}, {options.seconds:g} CPU seconds each, seed "
        f"{seeds}; of the test structures, meV: MAE_all / MAE_cha / mean MAE "
        "after the best shift of the energy zero / levels within "
        f"{WINDOW:g} eV of the Fermi level / these after their best shift, "
        f"of up to {ERRORS_ALONE['num_spectra']} structures",
        "",
        "| variant | error | MAE_all relative to the first row |",
        "|---|---|---|",
    ]
    reference = None
    for name, reports in rows.items():
        mean = sum(r["errors"]["mae_all"] for r in reports) / len(reports)
        reference = reference or mean
        share = 100 * (mean / reference - 1)
        lines.append(f"| {name} | {describe(reports)} | {share:+.0f} % |")
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
