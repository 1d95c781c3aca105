"""Explain one predicted block, and what the stages of its model do.

    python recipes/explain.py graphene --pair 0 1
    python recipes/explain.py mos2 --pair 0 1 --rows d1 --columns p1

Reads the model of `make train` (or `--model`) and the first test structure of
recipes/data/<material>.split.json (or `--structure`: a name in the set, or any
file that ASE reads). Explains the influence of atoms, edges and features on
the block, the attention and the corrections of the second stage, and which
atoms of the test set are new to the model. Results are in
runs/explain/<material>/. It needs TensorFlow and tf-keras-vis:
pip install -e ".[explain]".
"""

import argparse
import pathlib
import sys

import keras_hamiltonian as kh

import ase.io

HERE = pathlib.Path(__file__).parent


def main(options):
    """Reads, explains, prints."""
    path = options.model
    if path is None:
        material = options.material
        path = pathlib.Path("runs") / material / f"{material}.keras"
    if not path.is_file():
        sys.exit(
            f"There is no model {path}. Train one: make train "
            f"MATERIAL={options.material}, or name one with --model."
        )
    kh.explain.use_tensorflow()  # before Keras is imported
    model = kh.load_model(path)
    atoms = read_structure(options)
    output = options.output or pathlib.Path("runs/explain") / options.material
    target = kh.explain.BlockTarget(
        *options.pair,
        shift=tuple(options.shift),
        rows=options.rows,
        columns=options.columns,
        correction=options.correction,
    )
    found = kh.explain.explain_block(
        model, atoms, target, output, options.width
    )
    print(found["text"])
    stages = kh.explain.explain_stages(
        model, atoms, output, *read_data(options), atom=options.pair[0]
    )
    print(f"\n{stages['text']}\n")
    for name, file in {**found["files"], **stages["files"]}.items():
        print(f"{name:>18}: {file}")


def read_structure(options):
    """The `ase.Atoms` to explain."""
    name = options.structure
    if is_file(name):
        return ase.io.read(name)
    store, split = open_data(options)
    if name is None:
        name = split.test[0]
    if name not in store.names:
        sys.exit(
            f"{name} is no file, and {options.material}.h5 has the structures "
            f"{', '.join(store.names)}."
        )
    return store[name].atoms


def read_data(options):
    """Training and test structures; none for a file of the user."""
    if is_file(options.structure):
        return [], []
    store, split = open_data(options)
    return [[store[n] for n in names] for names in (split.train, split.test)]


def open_data(options):
    """`HamiltonianStore` and `Split` of the material."""
    path = HERE / "data" / f"{options.material}.h5"
    store = kh.HamiltonianStore(path)
    split = kh.data.Split.read(path.with_suffix(".split.json"), store.names)
    return store, split


def is_file(name):
    """Whether `--structure` is a file, not a name in the set."""
    return name is not None and pathlib.Path(name).is_file()


def orbital(text):
    """A shell's name, or an orbital's number."""
    return int(text) if text.isdigit() else text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("material", nargs="?", default="graphene")
    parser.add_argument(
        "--pair",
        type=int,
        nargs=2,
        default=[0, 1],
        help="atoms of the block, from 0; twice the same: onsite",
    )
    parser.add_argument(
        "--shift",
        type=int,
        nargs=3,
        default=[0, 0, 0],
        help="cell of the second atom",
    )
    parser.add_argument(
        "--rows", type=orbital, help="only this shell, such as p1, or orbital"
    )
    parser.add_argument("--columns", type=orbital, help="the same, columns")
    parser.add_argument(
        "--correction", action="store_true", help="of the second stage only"
    )
    parser.add_argument("--model", type=pathlib.Path, help="a .keras file")
    parser.add_argument(
        "--structure", help="a name in the set, or a structure file"
    )
    parser.add_argument(
        "--width", type=float, default=18.0, help="of the supercell, Å"
    )
    parser.add_argument("--output", type=pathlib.Path)
    try:
        main(parser.parse_args())
    except (ImportError, ValueError) as error:
        sys.exit(str(error))
