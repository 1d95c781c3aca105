"""Everything about one block: pictures and numbers in a folder."""

import dataclasses
import functools
import json
import pathlib

from keras_hamiltonian.explain.block_text import block_text
from keras_hamiltonian.explain.displacement import largest_change
from keras_hamiltonian.explain.feature_map import activation_map
from keras_hamiltonian.explain.influence import saliency
from keras_hamiltonian.explain.inputs import as_model
from keras_hamiltonian.explain.targets import repeats_for
from keras_hamiltonian.files import write_text
from keras_hamiltonian.messages import counted
from keras_hamiltonian.plots.influence import plot_degree_shares
from keras_hamiltonian.plots.influence import plot_displacement
from keras_hamiltonian.plots.influence import plot_influence_by_distance
from keras_hamiltonian.plots.influence import plot_influence_map


def explain_block(
    model, atoms, target, folder, width=18.0, samples=0, noise=0.02, seed=0
):
    """Explains one block of a prediction, or a kind of blocks, with pictures.

    Args:
        model: `Stage`, or the path of its `.keras` file, of any backend.
        atoms: `ase.Atoms`.
        target: `BlockTarget`, or `KindTarget`, which has no distances.
        folder: str or path. For pictures and numbers; files of the same names
            are replaced.
        width: float. Smallest width of the supercell in Å; images of an atom
            within half of it have separate influences. Memory grows with its
            area: about 30 MB per atom for a cascade of default size.
        samples, noise, seed: SmoothGrad, see `saliency`.

    Returns:
        Dict: `influence`, the `Influence`; `displacement`, the
        `Displacement`, or `None` if no displacement changes the target or the
        target has too many numbers; `left_out`, a dict from `"displacement"`
        to the reason in that case; `text`, the main numbers in words; `files`,
        a dict from name to path.

        - `map`: the crystal, atoms and edges coloured by influence.
        - `distance`: influence against distance; for a cascade also the
          influence on the correction of the second stage.
        - `degrees`, `features`: influence by degree, and of the features of
          each atom, if there is a first stage.
        - `displacement`: the displacement that changes the block most.
        - `numbers`: all of it as JSON.

    Raises:
        ImportError: if tf-keras-vis or TensorFlow is not installed.
        ValueError: if Keras runs on another backend, there is no such block,
            or nothing has an influence on it.
    """
    model = as_model(model)
    has_place = target.center(atoms) is not None
    repeat = repeats_for(atoms, width) if has_place else (1, 1, 1)
    smooth = {"samples": samples, "noise": noise, "seed": seed}
    found = saliency(model, atoms, target, repeat, **smooth)
    found.check()
    curves = {found.origin.label: found}
    has_second = len(model.stages()) > 1
    if has_second and has_place and not target.correction:
        added = dataclasses.replace(target, correction=True)
        found_added = saliency(model, atoms, added, repeat, **smooth)
        curves["correction of the second stage"] = found_added
    weights = None
    if len(found.degrees) > 1:
        weights = activation_map(model, atoms, target, repeat=repeat)
    displacement, left_out = _displacement(model, atoms, target)
    pictures = {"map": (plot_influence_map, found)}
    if has_place:
        pictures["distance"] = plot_influence_by_distance, curves
    if found.degrees.any() or found.edge_orders.any():
        titled = functools.partial(plot_degree_shares, title=found.origin.label)
        pictures["degrees"] = titled, found
    numbers = {
        "influence": found.to_dict(),
        "displacement": displacement and displacement.to_dict(),
        "left_out": left_out,
    }
    if weights is not None and weights.any():
        colored = functools.partial(plot_influence_map, values=weights)
        pictures["features"] = colored, found
        numbers["features_ev"] = weights.tolist()
    if displacement is not None:
        pictures["displacement"] = plot_displacement, displacement
    return {
        "influence": found,
        "displacement": displacement,
        "left_out": left_out,
        "text": block_text(found, displacement, left_out),
        "files": _write(pathlib.Path(folder), pictures, numbers),
    }


def _displacement(model, atoms, target):
    """The largest change, or `None` with the reason."""
    try:
        found = largest_change(model, atoms, target)
        found.check()
    except ValueError as error:
        return None, {"displacement": str(error)}
    return found, {}


def _write(folder, pictures, numbers):
    files = {}
    for name, (plot, what) in counted(pictures.items(), "draw", "pictures"):
        files[name] = folder / f"{name}.png"
        plot(what, files[name])
    files["numbers"] = folder / "numbers.json"
    write_text(files["numbers"], json.dumps(numbers) + "\n")
    return files
