"""Train both stages on the six benchmark materials, one after another.

    python recipes/train_all_six.py                 # small sets of this folder
    python recipes/train_all_six.py --data FOLDER   # published sets, unpacked
    python recipes/train_all_six.py --data FOLDER --dry-run   # what is found

Monolayer graphene (MG), monolayer MoS2 (MM), bilayer graphene (BG), bismuthene
(BB), Bi2Te3 (BT) and Bi2Se3 (BS). Everything lands in runs/all_six/<code>/,
the table of all in runs/all_six/table.md and table.json. Where a set has H⁰,
the zeroth-step Hamiltonian, corrections of it are learnt. A run that was
stopped resumes; what is done is not repeated.

The published sets are Zenodo records 7553640, 7553827 and 7553843. Unpack them
anywhere below one folder: elements and layers tell the materials, the size of
the cell twisted structures.
"""

import argparse
import json
import pathlib
import sys

import keras_hamiltonian as kh  # before Keras, to choose the backend

import keras
from benchmark_table import code_of
from benchmark_table import format_table
from benchmark_table import table_rows
from presets import PRESETS
from published_sets import describe
from published_sets import find_sets
from published_sets import prepare

DATA = pathlib.Path(__file__).parent / "data"
CODES = list(PRESETS)


def main(options):
    """All materials, and the table after each."""
    presets = [PRESETS[code] for code in options.materials]
    sets = {}
    if options.data:
        sets, others = find_sets(options.data, presets)
        print(describe(sets, others, presets))
    if options.dry_run:
        return 0
    file = options.output / "table.json"
    rows = json.loads(file.read_text()) if file.is_file() else []
    failed = False
    for preset in presets:
        print(f"\n=== {preset.code}, {preset.material} ===", flush=True)
        if options.data and preset.code not in sets:
            print("no structures")
            continue
        try:
            report = train(preset, sets.get(preset.code), options)
        except ValueError as error:
            print(f"{preset.code}: {error}", file=sys.stderr)
            failed = True
            continue
        print(kh.evaluation.summary(report))
        rows = [row for row in rows if code_of(row) != preset.code]
        rows += table_rows(preset, report, bool(options.data))
        rows.sort(key=lambda row: CODES.index(code_of(row)))
        text = format_table(rows, bool(options.data))
        kh.files.write_text(file, json.dumps(rows, indent=1) + "\n")
        kh.files.write_text(file.with_suffix(".md"), text)
    if rows:
        print(f"\n{format_table(rows, bool(options.data))}")
    return int(failed)


def train(preset, found, options):
    """The report of one material."""
    keras.utils.clear_session()  # frees the memory of the one before
    folder = options.output / preset.code
    if found:
        store, split, twisted = prepare(preset, found, folder)
    else:
        store, split = kh.HamiltonianStore(DATA / f"{preset.name}.h5"), None
        twisted = preset.twisted_name and kh.HamiltonianStore(
            DATA / f"{preset.twisted_name}.h5"
        )
    settings = preset.settings(bool(found), options.scale)
    stores = [store, twisted] if twisted else [store]
    has_initial = all(s.has_initial(name) for s in stores for name in s.names)
    if has_initial and not options.without_initial:
        print("The set has H⁰: corrections of it are learnt.")
        settings["initial"] = "both"
    return kh.train(
        store,
        split,
        kh.training.TrainingSettings(**settings),
        folder,
        name=preset.name,
        title=preset.material,
        again=options.again,
        test_sets=twisted and {"twisted": twisted},
        num_predictions=1 if found else None,
        num_atoms=len(store.atoms(0)),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--data", type=pathlib.Path, help="folder of published sets"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say what --data holds, and train nothing",
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
        "--without-initial",
        action="store_true",
        help="learn H itself where the set has H⁰, too",
    )
    parser.add_argument(
        "--again", action="store_true", help="repeat, from the beginning"
    )
    options = parser.parse_args()
    if options.dry_run and not options.data:
        parser.error("--dry-run says what --data FOLDER holds.")
    try:
        sys.exit(main(options))
    except ValueError as error:
        sys.exit(str(error))
