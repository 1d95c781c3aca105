"""Train both stages on one material, and look at what they predict.

    python recipes/train_one.py graphene --seconds 300

Reads recipes/data/<material>.h5 and its split, or `--data`: a container or a
folder of DeepH folders. A budget of seconds counts the CPU seconds of this
process after the imports: reading, baseline, training and validation.
Everything lands in runs/<material>/. A run that was stopped goes on where it
was; one that was done with these inputs is not repeated.
"""

import argparse
import pathlib
import time

import keras_hamiltonian as kh  # before Keras, to choose the backend

import keras
from data_tools.deeph import read_deeph

HERE = pathlib.Path(__file__).parent


def main(options):
    """One run, or the report of the run that was."""
    start = time.process_time()
    output = options.output or pathlib.Path("runs") / options.material
    data = options.data or HERE / "data" / f"{options.material}.h5"
    split_file = options.split or data.with_suffix(".split.json")
    budget = {"seconds": options.seconds}
    if options.steps:
        budget = {"steps": options.steps}
    settings = kh.training.TrainingSettings(
        second_stage=options.second_stage,
        first_share=options.first_share,
        seed=options.seed,
        **budget,
    )
    inputs = kh.evaluation.fingerprint(
        [__file__, data, split_file],
        settings=settings.model_dump(),
        backend=keras.config.backend(),
    )
    report = kh.evaluation.finished_report(output, inputs)
    if report is None or options.again:
        store, split = read(data, split_file, output, options.seed)
        trained = kh.training.train_cascade(
            store,
            split,
            settings,
            output,
            name=options.material,
            start=start,
            fingerprint=inputs,
            again=options.again,
        )
        report = kh.training.report_training(
            trained,
            store,
            split,
            title=options.material,
            seed=options.seed,
            fingerprint=inputs,
        )
    else:
        print("Nothing has changed since this run (--again repeats it).")
    print(kh.evaluation.summary(report))
    for name, file in report["files"].items():
        print(f"{name:>15}: {output / file}")


def read(data, split_file, output, seed):
    """Container and split; a folder of DeepH folders is packed first."""
    output.mkdir(parents=True, exist_ok=True)
    if data.is_dir():
        folders = sorted(path for path in data.iterdir() if path.is_dir())
        data = kh.HamiltonianStore.write(
            output / "data.h5", map(read_deeph, folders)
        ).path
    store = kh.HamiltonianStore(data)
    if split_file.is_file():
        return store, kh.data.Split.read(split_file, store.names)
    split = kh.data.random_split(store.names, seed=seed)
    split.write(output / "split.json")
    return store, split


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("material", nargs="?", default="graphene")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--steps", type=int, help="instead of seconds")
    parser.add_argument(
        "--second-stage",
        choices=["equivariant", "transformer", "none"],
        default="equivariant",
    )
    parser.add_argument(
        "--first-share",
        type=float,
        default=0.75,
        help="fraction of the budget for the first stage",
    )
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--split", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument(
        "--again", action="store_true", help="repeat, from the beginning"
    )
    main(parser.parse_args())
