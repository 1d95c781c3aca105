"""Train both stages on one material, and look at what they predict.

    python recipes/train_one.py graphene --seconds 300

Reads recipes/data/<material>.h5 and its split, or `--data`: a container or a
folder of calculations. A budget of seconds counts the CPU seconds of this
process after the imports: reading, baseline, training and validation.
Everything lands in runs/<material>/. A run that was stopped resumes; one that
is done is not repeated. `keras-hamiltonian train` has all settings.
"""

import argparse
import pathlib

import keras_hamiltonian as kh

DATA = pathlib.Path(__file__).parent / "data"


def main(options):
    """One run, and what came of it."""
    budget = {"seconds": options.seconds}
    if options.steps:
        budget = {"steps": options.steps}
    settings = kh.training.TrainingSettings(
        second_stage=options.second_stage, seed=options.seed, **budget
    )
    folder = options.output or pathlib.Path("runs") / options.material
    report = kh.train(
        options.data or DATA / f"{options.material}.h5",
        options.split,
        settings,
        folder,
        name=options.material,
        again=options.again,
    )
    print(kh.evaluation.summary(report, folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("material", nargs="?", default="graphene")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--steps", type=int, help="instead of seconds")
    parser.add_argument("--second-stage", default="equivariant")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--split", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--again", action="store_true", help="repeat a run")
    main(parser.parse_args())
