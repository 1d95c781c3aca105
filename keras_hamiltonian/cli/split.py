"""`keras-hamiltonian split`: structures that train, validate and test."""

import pathlib
from typing import Annotated
from typing import Literal

import typer

from keras_hamiltonian.cli.files import check_new


def split(
    data: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="DATA...",
            help="A container (.h5), or a folder of calculations; several are "
            "divided together, as `train` joins them.",
        ),
    ],
    by: Annotated[
        Literal["structure", "cell", "composition", "trajectory"],
        typer.Option(
            help="What stays in one part: each structure by itself; those of "
            "one cell (number of atoms and lattice up to strains); of one "
            "reduced formula; of one trajectory (names up to their numbers)."
        ),
    ] = "structure",
    fractions: Annotated[
        tuple[float, float, float],
        typer.Option(
            metavar="TRAIN VALIDATE TEST",
            help="Fractions of the structures; 0 leaves a part empty.",
        ),
    ] = (0.6, 0.2, 0.2),
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    output: Annotated[
        pathlib.Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File (JSON). Default: <data>.split.json, which `train` and "
            "`evaluate` find by themselves.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
):
    """Draw which structures train, validate and test; groups stay whole.

    \b
      keras-hamiltonian split my_set.h5 --by cell
      keras-hamiltonian split runs.h5 --by trajectory --fractions 0.8 0.1 0.1
      keras-hamiltonian split a.h5 b.h5 --by composition -o both.json

    A model that is to predict other cells, compositions or trajectories than
    it is trained on is tested on others: the error of such a split is the one
    that counts.
    """
    from data_tools.structures import find_structures
    from keras_hamiltonian.data.splits import random_split

    if output is None and len(data) > 1:
        raise typer.BadParameter(
            "several sets are divided together: name the file, -o FILE, and "
            "give it to train by --split.",
            param_hint="DATA",
        )
    output = output or data[0].with_suffix(".split.json")
    check_new(output, overwrite)
    names, structures = [], []
    for path in data:
        stem = path.stem if path.is_file() else path.resolve().name
        for structure in find_structures([path]):
            own = structure.name
            names.append(own if len(data) == 1 else f"{stem}-{own}")
            structures.append(structure)
    groups = None
    if by != "structure":
        groups = _groups(by, names, structures, fractions)
    drawn = random_split(names, fractions, seed, groups)
    drawn.write(output)
    _print_parts(drawn, groups and dict(zip(names, groups)))
    typer.echo(f"written: {output}")


def _groups(by, names, structures, fractions):
    """Group of each structure; enough of them for all parts."""
    from keras_hamiltonian.data.groups import groups_by

    found = groups_by(by, names, (s.atoms() for s in structures))
    different = list(dict.fromkeys(found))
    num_parts = sum(fraction > 0 for fraction in fractions)
    if len(different) < num_parts:
        raise ValueError(
            f"A split by {by} into {num_parts} parts needs as many kinds of "
            f"{by}; the data have {len(different)}: {'; '.join(different)}. "
            "Add structures of another one, or leave a part empty, such as "
            "--fractions 0.8 0 0.2."
        )
    return found


def _print_parts(drawn, group_of):
    """Sizes of the parts and of the groups in them."""
    from keras_hamiltonian.data.splits import PARTS

    for part in PARTS:
        names = getattr(drawn, part)
        typer.echo(f"{part:8}  {len(names)} structures")
        found = [group_of[name] for name in names] if group_of else []
        for group in dict.fromkeys(found):
            typer.echo(f"          {found.count(group)} of {group}")
