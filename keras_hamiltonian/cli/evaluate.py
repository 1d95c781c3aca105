"""`keras-hamiltonian evaluate`: errors of a model."""

import json
import pathlib
from typing import Annotated
from typing import Literal

import typer

from keras_hamiltonian.cli.cluster import on_cluster_with_model
from keras_hamiltonian.cli.files import check_new
from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.messages import counted
from keras_hamiltonian.reading import reading

MATRICES_AND_BANDS = {"num_spectra": 0, "num_rotations": 0, "largest_cell": 0}


@on_cluster_with_model
def evaluate(
    model: Annotated[
        pathlib.Path,
        typer.Argument(help="A .keras file of `train`, or a preset's name."),
    ],
    data: Annotated[
        pathlib.Path,
        typer.Argument(
            help="Structures with a Hamiltonian: a container, a calculation "
            "or a folder of them."
        ),
    ],
    part: Annotated[
        Literal["train", "validate", "test", "all"] | None,
        typer.Option(
            help="Part of the split. Default: test where there is a split, "
            "else all."
        ),
    ] = None,
    split: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Split (JSON). Default: the one beside the data, "
            "<data>.split.json, or that which `train` drew for the same data, "
            "beside the model."
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Only the structure of this name; may be repeated. Default: "
            "the whole part."
        ),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            help="Band path of the picture, such as GMKG. Default: the "
            "standard path of the lattice."
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Also levels and wave functions, symmetry, time and memory: "
            "about 10 CPU s more for 18 atoms, and a second per structure.",
        ),
    ] = False,
    output: Annotated[
        pathlib.Path,
        typer.Option(
            "--output", "-o", help="New folder of report and pictures."
        ),
    ] = pathlib.Path("evaluation"),
):
    """Compare a model with calculations: errors, report and pictures.

    \b
      keras-hamiltonian evaluate model.keras my_set.h5 --part test
      keras-hamiltonian evaluate model.keras other_set --full -o other

    Errors are mean absolute differences of all matrix elements in meV: MAE_all
    is the mean over structures, MAE_cha that of the worst one. report.html
    shows all of it.
    """
    import keras_hamiltonian as kh

    if not data.exists():
        raise ValueError(f"{data} does not exist.")
    check_new(output)
    loaded = kh.load_model(model)  # before what takes longer
    if split is None:
        split = _known_split(data, model)
    structures = _choose(data, split, part, name)

    def calculations():
        for structure in counted(structures, "evaluate"):
            yield structure.calculation()

    report = kh.evaluate(
        loaded,
        calculations(),
        output,
        path=path,
        title=model.stem,
        model_file=str(model),
        data=str(data),
        **({} if full else MATRICES_AND_BANDS),
    )
    report["files"]["report"] = "report.json"
    typer.echo(_table(report["errors"]["structures"]))
    typer.echo(kh.evaluation.summary(report, output))


def _known_split(data, model):
    """The split of the data; or that beside the model, if it was drawn for
    the same data; or `None`."""
    from keras_hamiltonian.training.fingerprint import content_checksum

    beside, drawn = data.with_suffix(".split.json"), model.parent / "split.json"
    if beside.is_file():
        return beside
    if not drawn.is_file():
        return None
    with reading(drawn):
        known = json.loads(drawn.read_text()).get("data")
    if known == [content_checksum(data)]:
        return drawn
    typer.echo(
        f"{drawn} was drawn for other data than {data}, and is not applied. "
        "Give it by --split if it is meant.",
        err=True,
    )
    return None


def _choose(data, split_file, part, names):
    from data_tools.structures import find_structures
    from keras_hamiltonian.data import Split

    structures = find_structures([data])
    has_split = split_file is not None
    if has_split and not split_file.is_file():
        raise ValueError(f"There is no split file {split_file}.")
    if part is None:
        part = "test" if has_split and not names else "all"
    if part != "all":
        if not has_split:
            raise ValueError(
                f"--part {part} needs a split, and none lies beside the data "
                "or the model. Give --split."
            )
        split = Split.read(split_file, [s.name for s in structures])
        chosen = set(getattr(split, part))
        typer.echo(
            f"The part {part!r} of {split_file} is evaluated: {len(chosen)} of "
            f"{len(structures)} structures. All: --part all.",
            err=True,
        )
        structures = [s for s in structures if s.name in chosen]
        if not structures:
            raise ValueError(f"The part {part} of {split_file} is empty.")
    elif not names:
        typer.echo(f"All {len(structures)} structures are evaluated.", err=True)
    if names:
        missing = sorted(set(names) - {s.name for s in structures})
        if missing:
            raise ValueError(
                f"There is no structure {', '.join(missing)} in the part "
                f"{part} of {data}."
            )
        structures = [s for s in structures if s.name in names]
    return structures


def _table(structures):
    """Errors of each structure in meV."""
    width = max(len("structure"), *(len(s["name"]) for s in structures))
    lines = [f"{'structure':{width}}      MAE   onsite  hopping  (meV)"]
    for found in structures:
        cells = (found[k] for k in ("mae", "onsite_mae", "hopping_mae"))
        numbers = "".join(
            f"{MEV_PER_EV * x:9.3f}" if x is not None else "        ?"
            for x in cells
        )
        lines.append(f"{found['name']:{width}}{numbers}")
    return "\n".join(lines)
