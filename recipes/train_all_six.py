"""Train both stages on the six benchmark materials, one after another.

    python recipes/train_all_six.py                 # small sets of this folder
    python recipes/train_all_six.py --data FOLDER   # published sets, unpacked

Monolayer graphene (MG), monolayer MoS2 (MM), bilayer graphene (BG), bismuthene
(BB), Bi2Te3 (BT) and Bi2Se3 (BS). Everything lands in runs/all_six/<code>/,
the table of all in runs/all_six/table.md and table.json. A run that was
stopped goes on where it was; what is done is not repeated.

The published sets are Zenodo records 7553640, 7553827 and 7553843. Unpack them
anywhere below one folder: materials are told by their elements and layers,
twisted structures by the size of the cell.
"""

import argparse
import gc
import json
import pathlib
import sys
import time

import keras_hamiltonian as kh  # before Keras, to choose the backend

import keras
from published_sets import convert
from published_sets import find_sets
from published_sets import published_split

HERE = pathlib.Path(__file__).parent
MEV_PER_EV = kh.conventions.MEV_PER_EV
CODES = list(kh.models.PRESETS)


def main(options):
    """All materials, and the table after each."""
    presets = [kh.models.PRESETS[code] for code in options.materials]
    sets = {}
    if options.data:
        sets, others = find_sets(options.data, presets)
        if others:
            print(f"Of none of the materials: {len(others)}, {others[0]} ...")
    rows, failed = earlier_rows(options), False
    for preset in presets:
        print(f"\n=== {preset.code}, {preset.material} ===", flush=True)
        if options.data and preset.code not in sets:
            print(
                f"No structures of {', '.join(preset.elements)} with "
                f"{preset.num_layers} layer(s) in {options.data}; they are in "
                f"the Zenodo records {', '.join(map(str, preset.zenodo))}."
            )
            continue
        try:
            report = run(preset, sets.get(preset.code), options)
        except ValueError as error:
            print(f"{preset.code}: {error}", file=sys.stderr)
            failed = True
            continue
        print(kh.evaluation.summary(report))
        rows = [row for row in rows if code_of(row) != preset.code]
        rows += table_rows(preset, report, bool(options.data))
        rows.sort(key=lambda row: CODES.index(code_of(row)))
        write_table(rows, options)
    if rows:
        print(f"\n{format_table(rows, bool(options.data))}")
    return int(failed)


def earlier_rows(options):
    """Rows of an earlier table."""
    file = options.output / "table.json"
    rows = json.loads(file.read_text()) if file.is_file() else []
    return [row for row in rows if code_of(row) in CODES]


def code_of(row):
    """The material of a row: its set is `BG` or `BG twisted`."""
    return row["set"].split()[0]


def run(preset, found, options):
    """One material: its report, new or old."""
    start = time.process_time()
    output = options.output / preset.code
    store, split, twisted = data_of(preset, found, options, output)
    settings = kh.training.TrainingSettings(
        **preset.settings(bool(found), options.scale)
    )
    tests = {} if twisted is None else {"twisted": twisted}
    inputs = kh.evaluation.fingerprint(
        [__file__],
        data=[stamp(s.path, found) for s in (store, *tests.values())],
        split=split.checksum,
        settings=settings.model_dump(),
        backend=keras.config.backend(),
    )
    report = kh.evaluation.finished_report(output, inputs)
    if report is not None and not options.again:
        print("Nothing has changed since this run (--again repeats it).")
        return report
    keras.utils.clear_session()
    gc.collect()
    trained = kh.training.train_cascade(
        store,
        split,
        settings,
        output,
        name=preset.name,
        start=start,
        fingerprint=inputs,
        again=options.again,
    )
    return kh.training.report_training(
        trained,
        store,
        split,
        title=preset.material,
        num_predictions=1 if found else None,
        test_sets=tests,
        counts=[len(p) for p in (split.train, split.validate, split.test)],
        num_atoms=len(store.atoms(0)),
        fingerprint=inputs,
    )


def data_of(preset, found, options, output):
    """Container, split, and container of twisted structures or `None`."""
    if not found:
        data = HERE / "data" / f"{preset.name}.h5"
        store = kh.HamiltonianStore(data)
        split = kh.data.Split.read(data.with_suffix(".split.json"), store.names)
        twisted = preset.twisted_name and kh.HamiltonianStore(
            HERE / "data" / f"{preset.twisted_name}.h5"
        )
        return store, split, twisted
    store = convert(found.folders, options.data, output / "data.h5")
    split = published_split(store, preset.counts)
    split.write(output / "split.json")
    if len(store) != sum(preset.counts):
        print(
            f"Published were {sum(preset.counts)} structures; found "
            f"{len(store)}, divided in the same proportions: {split}."
        )
    if found.num_atoms != preset.num_atoms:
        print(
            f"Published cells have {preset.num_atoms} atoms, these "
            f"{found.num_atoms}."
        )
    twisted = None
    if found.twisted:
        twisted = convert(found.twisted, options.data, output / "twisted.h5")
    return store, split, twisted


def stamp(path, is_converted):
    """What tells a container from another: content, or size and time."""
    if is_converted:
        return [path.name, path.stat().st_size, path.stat().st_mtime_ns]
    return kh.evaluation.fingerprint([path])


def table_rows(preset, report, is_published):
    """Errors of a material and of its twisted set, `[MAE_all, MAE_cha]`."""
    sets = {preset.code: (report, preset.figures)}
    for name, errors in report["test_sets"].items():
        sets[f"{preset.code} {name}"] = (errors, preset.twisted_figures)
    rows = []
    for name, (errors, figures) in sets.items():
        rows.append(
            {
                "set": name,
                "counts": report["counts"],
                "num_atoms": report["num_atoms"],
                "steps": report["steps"],
                "cpu_seconds": report["cpu_seconds"],
                "first_stage": in_mev(errors["first_stage_errors"]),
                "cascade": in_mev(errors["errors"]),
                "published_deeph_e3": figures and list(figures.deeph_e3),
                "published_cascade": figures and list(figures.cascade),
                "is_like_published": is_published
                and sum(report["counts"]) == sum(preset.counts)
                and report["num_atoms"] == preset.num_atoms,
            }
        )
    return rows


def in_mev(errors):
    """`[MAE_all, MAE_cha]` in meV."""
    return [MEV_PER_EV * errors[key] for key in ("mae_all", "mae_cha")]


def format_table(rows, is_published):
    """The table as Markdown."""
    lines = [
        "MAE_all / MAE_cha of the test structures, meV",
        "",
        "| set | train/val/test | steps | CPU s | first stage | cascade | "
        "paper: DeepH-E3 | paper: cascade |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        pairs = [
            "-" if row[key] is None else "{:.3f} / {:.3f}".format(*row[key])
            for key in (
                "first_stage",
                "cascade",
                "published_deeph_e3",
                "published_cascade",
            )
        ]
        counts = "/".join(map(str, row["counts"]))
        mark = "" if row["is_like_published"] else "*"
        steps = " + ".join(str(n) for n in row["steps"].values())
        seconds = f"{row['cpu_seconds']:.0f}"
        cells = [f"{row['set']}{mark}", counts, steps, seconds, *pairs]
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        "The paper's figures (arXiv 2401.00744 v5) belong to its own data. "
        "Sets with * are others, of fewer structures or smaller cells: their "
        "errors do not compare with the paper's."
    )
    if is_published:
        note += (
            " The rest is the published data, but which structures the paper "
            "tested is not known; divided at random, seed 42."
        )
    return "\n".join([*lines, "", note, ""])


def write_table(rows, options):
    """The table as JSON and Markdown, each at once."""
    text = format_table(rows, bool(options.data))
    for name, content in (
        ("table.json", json.dumps(rows, indent=1) + "\n"),
        ("table.md", text),
    ):
        kh.files.write_text(options.output / name, content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--data", type=pathlib.Path, help="folder of published sets"
    )
    parser.add_argument(
        "--materials", nargs="+", choices=CODES, default=CODES, metavar="CODE"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor of the steps"
    )
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path("runs/all_six")
    )
    parser.add_argument(
        "--again", action="store_true", help="repeat, from the beginning"
    )
    sys.exit(main(parser.parse_args()))
