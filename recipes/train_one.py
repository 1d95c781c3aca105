"""Train stage one on one material, and look at what it predicts.

    python recipes/train_one.py graphene --seconds 300

Reads recipes/data/<material>.h5 and its split, or `--data`: a container or a
folder of DeepH folders. The budget counts the CPU seconds of this process
after the imports: reading, baseline, training and validation. Everything lands
in runs/<material>/; a run that was done with these inputs is not repeated.
"""

import argparse
import pathlib
import random
import time

import keras_hamiltonian as kh  # before Keras, to choose the backend

import keras
from data_tools.deeph import read_deeph

HERE = pathlib.Path(__file__).parent
PEAK_LEARNING_RATE = 1e-2


def main(options):
    """One run, or the report of the run that was."""
    start = time.process_time()
    output = options.output or pathlib.Path("runs") / options.material
    data = options.data or HERE / "data" / f"{options.material}.h5"
    split_file = options.split or data.with_suffix(".split.json")
    inputs = kh.evaluate.fingerprint(
        [__file__, data, split_file],
        seconds=options.seconds,
        seed=options.seed,
        backend=keras.config.backend(),
    )
    report = kh.evaluate.finished_report(output, inputs)
    if report is None or options.again:
        store, split = read(data, split_file, output, options.seed)
        report = train(store, split, output, options, start, inputs)
    else:
        print("Nothing has changed since this run (--again repeats it).")
    print(kh.evaluate.summary(report))
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


def train(store, split, output, options, start, inputs):
    """Fits, evaluates on the test part, and writes everything."""
    # Of Keras' initializers; `keras.utils.set_random_seed` would import
    # TensorFlow too.
    random.seed(options.seed)
    known = [store[name] for name in split.train]
    reaches = kh.physics.estimate_reaches(known)
    stage = kh.models.EquivariantStage(
        store.basis.to_dict(), reaches, spin=store.spin
    )
    # Few training structures keep their overlap; it is exact in every one.
    validating = [store[name] for name in split.validate]
    stage.overlap = kh.physics.TwoCentreOverlap.fit(known + validating, reaches)
    training = kh.HamiltonianDataset(
        store, split.train, shuffle=True, seed=options.seed
    )
    stage.adapt(training)
    stage.compile(
        keras.optimizers.Adam(PEAK_LEARNING_RATE, global_clipnorm=1000),
        loss=kh.losses.BlockMeanAbsoluteError(),
        jit_compile=keras.config.backend() == "jax",
    )
    budget = kh.callbacks.CosineBudget(
        PEAK_LEARNING_RATE, seconds=options.seconds, start=start
    )
    curve = kh.callbacks.LearningCurve(output / "learning_curve.json", start)
    stage.fit(
        training,
        validation_data=kh.HamiltonianDataset(store, split.validate),
        validation_freq=10,
        epochs=10**6,
        callbacks=[
            budget,
            kh.callbacks.BudgetBar(budget),
            curve,
            kh.callbacks.RevertOnSpike(),
        ],
        verbose=0,
    )
    cpu_seconds = time.process_time() - start
    stage.provenance = kh.models.training_provenance(
        known,
        data=store.attributes,
        seed=options.seed,
        budget={"cpu_seconds": options.seconds, "steps": budget.step},
    )
    stage.save(output / f"{options.material}.keras")

    held_out = [store[name] for name in split.test]
    files = {"model": f"{options.material}.keras"}
    for calculation in held_out:
        prediction = kh.predict(stage, calculation.atoms, name=calculation.name)
        folder = pathlib.Path("predictions") / calculation.name
        prediction.write(output / folder)
        files[calculation.name] = str(folder / "hamiltonians_pred.h5")
    shown = kh.predict(stage, held_out[0].atoms)
    return kh.evaluate.write_report(
        output,
        kh.evaluate.evaluate_model(stage, held_out),
        curve.history,
        kh.evaluate.compare_bands(shown, held_out[0]),
        title=options.material,
        cpu_seconds=cpu_seconds,
        steps=budget.step,
        seed=options.seed,
        fingerprint=inputs,
        files=files,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("material", nargs="?", default="graphene")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--split", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--again", action="store_true")
    main(parser.parse_args())
