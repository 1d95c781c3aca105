"""All about a model's stages: pictures and a table in a folder."""

import pathlib

import numpy as np

from keras_hamiltonian.evaluate.plots import MEV_PER_EV
from keras_hamiltonian.explain.attention import attention_maps
from keras_hamiltonian.explain.attention_plots import plot_attention_by_angle
from keras_hamiltonian.explain.attention_plots import plot_attention_by_distance
from keras_hamiltonian.explain.attention_plots import plot_attention_map
from keras_hamiltonian.explain.correction_plots import plot_corrections
from keras_hamiltonian.explain.corrections import stage_corrections
from keras_hamiltonian.explain.environment_plots import plot_environment_map
from keras_hamiltonian.explain.environment_plots import plot_novelty
from keras_hamiltonian.explain.environments import EnvironmentMap
from keras_hamiltonian.models.equivariant_stage import EquivariantStage
from keras_hamiltonian.models.hamiltonian_cascade import HamiltonianCascade
from keras_hamiltonian.models.refinement_stage import RefinementStage


def explain_stages(model, atoms, folder, training=(), held_out=(), atom=0):
    """Explains what the stages of a model do, with pictures.

    What the model does not have is left out: attention without a second
    stage, or of a second stage made with `attention=False`; corrections
    without two stages; environments without a first one.

    Args:
        model: `Stage`.
        atoms: `ase.Atoms`. Its attention is drawn.
        folder: str or path. Where pictures and numbers go; files of the same
            names are replaced.
        training: iterable of `Calculation` that the model was trained on.
        held_out: iterable of other `Calculation` with a Hamiltonian. Without
            these and those of before attention alone is drawn.
        atom: int. Whose attention is drawn on the structure.

    Returns:
        Dict: `attention`, `corrections` and `environments`, an
        `AttentionMaps`, `Corrections` and the `Environments` of `held_out`,
        or `None`; `text`, the table; `files`, a dict from name to path.

        - `attention_map`, `attention_distance`, `attention_angle`: pictures
          of every head.
        - `corrections`: size and effect of what the second stage adds.
        - `environments`, `novelty`: atoms of `held_out` among those of
          `training`, with their errors.
        - `stages`: the table.

    Raises:
        ValueError: if a structure does not fit the model.
    """
    training, held_out = list(training), list(held_out)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = {"attention": None, "corrections": None, "environments": None}
    files, pieces = {}, []

    def draw(name, plot, *arguments):
        files[name] = folder / f"{name}.png"
        plot(*arguments, files[name])

    if _has_attention(model):
        maps = attention_maps(model, atoms)
        found["attention"] = maps
        draw(
            "attention_map",
            lambda *given: plot_attention_map(*given, atom=atom),
            maps,
        )
        draw("attention_distance", plot_attention_by_distance, maps)
        draw("attention_angle", plot_attention_by_angle, maps)
        pieces.append(_attention_text(maps))
    if held_out and isinstance(model, HamiltonianCascade):
        found["corrections"] = stage_corrections(model, held_out)
        draw("corrections", plot_corrections, found["corrections"])
        pieces.append(str(found["corrections"]))
    first = getattr(model, "stage", model)
    if training and held_out and isinstance(first, EquivariantStage):
        environments = EnvironmentMap(model, training)
        placed = environments.place(held_out)
        found["environments"] = placed
        draw("environments", plot_environment_map, environments, placed)
        draw("novelty", plot_novelty, {"held out": placed})
        pieces.append(_environment_text(placed))
    found["text"] = "\n\n".join(pieces)
    if pieces:
        files["stages"] = folder / "stages.txt"
        files["stages"].write_text(f"{found['text']}\n")
    return {**found, "files": files}


def _has_attention(model):
    second = getattr(model, "refinement", model)
    return isinstance(second, RefinementStage) and second.arguments.get(
        "attention", True
    )


def _attention_text(maps):
    """To how many neighbours each head listens, and how far away."""
    bins = maps.against_distance()
    middles = (bins["from"] + bins["to"]) / 2
    counts = maps.num_attended().mean(axis=-1)
    reach = (bins["share"] * middles).sum(axis=-1)
    lines = ["Attention: neighbors that a head hears, and their mean distance"]
    for block, name in enumerate(maps.blocks):
        heads = "  ".join(
            f"{count:5.1f} at {distance:.1f} Å"
            for count, distance in zip(counts[block], reach[block])
        )
        lines.append(f"  {name:12}{heads}")
    return "\n".join(lines)


def _environment_text(placed):
    lines = [
        f"Environments of {len(placed)} held-out atoms: median novelty "
        f"{np.median(placed.novelty):.2f}, rank correlation with the error "
        f"{placed.rank_correlation():.2f}; the worst atoms"
    ]
    lines += [
        f"  {worst['structure']}: {worst['atom']}, "
        f"{MEV_PER_EV * worst['error']:.3g} meV, novelty "
        f"{worst['novelty']:.2f}"
        for worst in placed.worst()
    ]
    return "\n".join(lines)
