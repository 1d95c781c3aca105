"""Everything about the stages of a model: pictures and a table."""

import functools
import pathlib

import numpy as np

from keras_hamiltonian.conventions import MEV_PER_EV
from keras_hamiltonian.explain.attention import attention_maps
from keras_hamiltonian.explain.corrections import stage_corrections
from keras_hamiltonian.explain.environments import EnvironmentMap
from keras_hamiltonian.explain.inputs import as_calculation
from keras_hamiltonian.files import write_text
from keras_hamiltonian.messages import counted
from keras_hamiltonian.models.first_stage import FirstStage
from keras_hamiltonian.plots.attention import check_atom
from keras_hamiltonian.plots.attention import plot_attention_by_angle
from keras_hamiltonian.plots.attention import plot_attention_by_distance
from keras_hamiltonian.plots.attention import plot_attention_map
from keras_hamiltonian.plots.corrections import plot_corrections
from keras_hamiltonian.plots.environments import plot_environment_map
from keras_hamiltonian.plots.environments import plot_novelty


def explain_stages(model, atoms, folder, training=(), held_out=(), atom=0):
    """Explains what the stages of a model do, with pictures.

    Left out is what the model does not have: attention without a second
    stage, or with one made with `attention=False`; corrections without two
    stages; environments without a first stage. Left out, with the reason, is
    also what the structures do not allow: attention without edges,
    environments that are all the same or of other elements, corrections if
    only some structures have a Hamiltonian, novelty if none has.

    Args:
        model: `Stage`.
        atoms: `ase.Atoms`. Its attention is drawn.
        folder: str or path. For pictures and numbers; files of the same names
            are replaced.
        training: iterable of `Calculation` that the model was trained on.
        held_out: iterable of other `Calculation` with a Hamiltonian. Without
            both sets, only attention is drawn.
        atom: int. The atom whose attention is drawn on the structure.

    Returns:
        Dict: `attention`, `corrections` and `environments`, an
        `AttentionMaps`, `Corrections` and the `Environments` of `held_out`,
        or `None`; `text`, the table; `left_out`, a dict from name to reason;
        `files`, a dict from name to path.

        - `attention_map`, `attention_distance`, `attention_angle`: pictures
          of every head.
        - `corrections`: size and effect of the second stage's corrections.
        - `environments`, `novelty`: atoms of `held_out` compared with those
          of `training`, with their errors.
        - `stages`: the table as text.

    Raises:
        ValueError: if a structure does not fit the model, or there is no such
            atom. Then nothing is written.
    """
    training, held_out = list(training), list(held_out)
    check_atom(atoms, atom)
    for structure in (atoms, *training, *held_out):
        as_calculation(structure, model)
    parts = {}
    first, *second = model.stages()
    backbone = getattr(model.stages()[-1], "backbone", None)
    if getattr(backbone, "has_attention", False):
        parts["attention"] = lambda: _attention(model, atoms, atom)
    if held_out and second:
        parts["corrections"] = lambda: _corrections(model, held_out)
    if training and held_out and isinstance(first, FirstStage):
        parts["environments"] = lambda: _environments(model, training, held_out)
    found = dict.fromkeys(("attention", "corrections", "environments"))
    pictures, pieces, left_out = {}, [], {}
    for name, explain in counted(parts.items(), "explain", "parts"):
        try:
            found[name], drawn, text = explain()
        except ValueError as error:
            left_out[name] = str(error)
            pieces.append(f"{name.capitalize()}: left out. {error}")
        else:
            pictures |= drawn
            pieces.append(text)
    text = "\n\n".join(pieces)
    files = _write(pathlib.Path(folder), pictures, text)
    return {**found, "text": text, "left_out": left_out, "files": files}


def _attention(model, atoms, atom):
    """The result, its pictures with their arguments, and the text."""
    maps = attention_maps(model, atoms)
    of_atom = functools.partial(plot_attention_map, atom=atom)
    pictures = {
        "attention_map": (of_atom, maps),
        "attention_distance": (plot_attention_by_distance, maps),
        "attention_angle": (plot_attention_by_angle, maps),
    }
    return maps, pictures, _attention_text(maps)


def _corrections(model, held_out):
    found = stage_corrections(model, held_out)
    return found, {"corrections": (plot_corrections, found)}, str(found)


def _environments(model, training, held_out):
    environments = EnvironmentMap(model, training)
    placed = environments.place(held_out)
    pictures = {"environments": (plot_environment_map, environments, placed)}
    if np.isfinite(placed.errors).any():
        pictures["novelty"] = plot_novelty, {"held out": placed}
    return placed, pictures, _environment_text(placed)


def _write(folder, pictures, text):
    files = {}
    for name, (plot, *arguments) in counted(
        pictures.items(), "draw", "pictures"
    ):
        files[name] = folder / f"{name}.png"
        plot(*arguments, files[name])
    if text:
        files["stages"] = folder / "stages.txt"
        write_text(files["stages"], f"{text}\n")
    return files


def _attention_text(maps):
    """Effective number of neighbours of each head, and their distance."""
    bins = maps.against_distance()
    middles = (bins["from"] + bins["to"]) / 2
    counts = maps.num_attended().mean(axis=-1)
    reach = (bins["share"] * middles).sum(axis=-1)
    lines = ["Attention: effective neighbors of each head at mean distance"]
    for block, name in enumerate(maps.blocks):
        heads = "  ".join(
            f"{count:5.1f} at {distance:.1f} Å"
            for count, distance in zip(counts[block], reach[block])
        )
        lines.append(f"  {name:12}{heads}")
    return "\n".join(lines)


def _environment_text(placed):
    text = (
        f"Environments of {len(placed)} held-out atoms: median novelty "
        f"{np.median(placed.novelty):.2f}"
    )
    if not np.isfinite(placed.errors).any():
        return f"{text}; errors are unknown, there is no Hamiltonian"
    lines = [
        f"{text}, rank correlation with the error "
        f"{placed.rank_correlation():.2f}; the worst atoms"
    ]
    lines += [
        f"  {worst['structure']}: {worst['atom']}, "
        f"{MEV_PER_EV * worst['error']:.3g} meV, novelty "
        f"{worst['novelty']:.2f}"
        for worst in placed.worst()
    ]
    return "\n".join(lines)
