"""What each part of the method is worth: train without it, at equal cost.

    python recipes/ablate.py graphene --seconds 120
    python recipes/ablate.py graphene --seconds 120 --parts first

Every row of the table has the same budget of CPU seconds. A cascade spends
three quarters of it on the first stage, which all cascades of a seed share.
What is done is in runs/ablations/<material>/ and is not repeated.

Rows of the cascade: the first stage alone; both second stages; and the
ablations of Yin et al. (arXiv 2401.00744): A, no cascade; B, no covariant
features; C, no attention. Rows of the first stage: what it has beyond
DeepH-E3, one at a time.
"""

import argparse
import gc
import json
import pathlib
import random
import shutil
import time

import keras_hamiltonian as kh  # before Keras, to choose the backend

import keras

HERE = pathlib.Path(__file__).parent
MEV_PER_EV = kh.conventions.MEV_PER_EV
FIRST_SHARE = 0.75
PEAK_LEARNING_RATE = {"equivariant": 1e-2, "transformer": 3e-3}
NO_FEATURES = {"alpha": 0.0, "beta": 0.0, "gamma": 0.0}

CASCADES = {
    "first stage alone": {"second_stage": "none"},
    "cascade, symmetric second stage": {},
    "cascade, Transformer": {"second_stage": "transformer"},
    "A: Transformer, no cascade": None,
    "B: Transformer, no covariant features": {
        "second_stage": "transformer",
        "second_options": NO_FEATURES,
    },
    "C: Transformer, no attention": {
        "second_stage": "transformer",
        "second_options": {"attention": False},
    },
}
FIRST_STAGES = {
    "first stage": {},
    "no projectors": {"projectors": ""},
    "no two-centre baseline": {"two_centre": False},
    "no channel scales": {"channel_scales": False},
    "no Hermitian average": {"hermitian": False},
    "norm over the whole graph": {"norm": "graph"},
    "mean squared error as loss": None,
}


def main(options):
    """Trains what is missing, then prints the table."""
    data = options.data or HERE / "data" / f"{options.material}.h5"
    split_file = options.split or data.with_suffix(".split.json")
    store = kh.HamiltonianStore(data)
    split = kh.data.Split.read(split_file, store.names)
    output = options.output / options.material
    variants = {}
    if options.parts in ("cascade", "all"):
        variants |= dict.fromkeys(CASCADES, cascade)
    if options.parts in ("first", "all"):
        variants |= dict.fromkeys(FIRST_STAGES, first_stage)
    rows = {}
    for name, train in variants.items():
        for seed in options.seeds:
            folder = output / f"{slug(name)}_{seed}"
            inputs = kh.evaluation.fingerprint(
                [__file__, data, split_file],
                variant=name,
                seconds=options.seconds,
                seed=seed,
                backend=keras.config.backend(),
            )
            report = kh.evaluation.finished_report(folder, inputs)
            if report is None:
                keras.utils.clear_session()
                gc.collect()
                model = train(name, store, split, seed, output, options)
                report = test(model, store, split, folder, inputs)
            rows.setdefault(name, []).append(report["errors"])
            print(f"{name}, seed {seed}: {describe([report['errors']])}")
    text = table(rows, options)
    (output / f"table_{options.parts}.md").write_text(text)
    print(f"\n{text}")


def cascade(name, store, split, seed, output, options):
    """A row of the cascade: the trained model."""
    folder = output / f"{slug(name)}_{seed}"
    if CASCADES[name] is None:
        return transformer_alone(store, split, seed, options)
    variant = dict(CASCADES[name])
    kind = variant.get("second_stage", "equivariant")
    if kind != "none":
        variant["second_learning_rate"] = PEAK_LEARNING_RATE[kind]
    settings = kh.training.TrainingSettings(
        seconds=options.seconds,
        first_share=FIRST_SHARE,
        seed=seed,
        **variant,
    )
    stage = None
    if kind != "none":
        stage = shared_stage(store, split, seed, output, options)
    return kh.training.train_cascade(
        store, split, settings, folder, name="model", again=True, stage=stage
    ).model


def shared_stage(store, split, seed, output, options):
    """The first stage of all cascades, trained with half of the budget."""
    folder = output / f"shared_{seed}"
    inputs = kh.evaluation.fingerprint(
        [__file__, store.path],
        split=split.checksum,
        seconds=options.seconds,
        seed=seed,
        backend=keras.config.backend(),
    )
    mark = folder / "fingerprint.txt"
    if mark.is_file() and mark.read_text() == inputs:
        return kh.load_model(folder / "model.keras")
    mark.unlink(missing_ok=True)
    settings = kh.training.TrainingSettings(
        seconds=FIRST_SHARE * options.seconds, seed=seed, second_stage="none"
    )
    stage = kh.training.train_cascade(
        store, split, settings, folder, name="model", again=True
    ).model
    mark.write_text(inputs)
    return stage


def first_stage(name, store, split, seed, output, options):
    """A row of the first stage: the trained model."""
    changed = FIRST_STAGES[name]
    settings = kh.training.TrainingSettings(
        seconds=options.seconds,
        seed=seed,
        second_stage="none",
        first_options=changed or {},
        loss="mean_absolute" if changed is not None else "mean_squared",
    )
    folder = output / f"{slug(name)}_{seed}"
    return kh.training.train_cascade(
        store, split, settings, folder, name="model", again=True
    ).model


def transformer_alone(store, split, seed, options):
    """Ablation A: the second stage predicts the Hamiltonian itself."""
    start = time.process_time()
    random.seed(seed)
    known = [store[name] for name in split.train]
    model = kh.models.TransformerStage(
        store.basis.to_dict(),
        kh.physics.estimate_reaches(known),
        store.spin,
        seed=seed,
    )
    training = kh.HamiltonianDataset(
        store, split.train, shuffle=True, seed=seed
    )
    model.adapt(training)
    model.compile(
        keras.optimizers.AdamW(weight_decay=0.5, global_clipnorm=1000.0),
        loss=kh.losses.BlockMeanAbsoluteError(),
        jit_compile=keras.config.backend() == "jax",
    )
    budget = kh.callbacks.CosineBudget(
        PEAK_LEARNING_RATE["transformer"],
        seconds=options.seconds,
        start=start,
    )
    model.fit(
        training,
        validation_data=kh.HamiltonianDataset(store, split.validate),
        validation_freq=10,
        epochs=10**9,
        callbacks=[budget, kh.callbacks.RevertOnSpike()],
        shuffle=False,
        verbose=0,
    )
    return model


def test(model, store, split, folder, inputs):
    """Errors on the test structures, kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = kh.evaluation.evaluate_model(model, [store[n] for n in split.test])
    report = {"errors": found.result(), "fingerprint": inputs}
    (folder / "report.json").write_text(json.dumps(report, indent=1))
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return report


def describe(errors):
    """Mean of several runs, in meV, with the spread of MAE_all."""
    values = [
        [MEV_PER_EV * e[key] for e in errors] for key in ("mae_all", "mae_cha")
    ]
    mean, worst = (sum(v) / len(v) for v in values)
    spread = ""
    if len(errors) > 1:
        spread = f" ({min(values[0]):.3f} to {max(values[0]):.3f})"
    return f"{mean:.3f}{spread} / {worst:.3f}"


def table(rows, options):
    """Markdown."""
    seeds = ", ".join(map(str, options.seeds))
    lines = [
        f"{options.material}, {options.seconds:g} CPU seconds each, seed "
        f"{seeds}; MAE_all / MAE_cha of the test structures, meV",
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
    parser.add_argument(
        "--parts", choices=["cascade", "first", "all"], default="cascade"
    )
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--split", type=pathlib.Path)
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path("runs/ablations")
    )
    main(parser.parse_args())
