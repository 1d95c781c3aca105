"""Inputs of new structures, made from the input of an earlier run."""

import pathlib

from data_tools.inputs.abacus import AbacusTemplate
from data_tools.inputs.openmx import OpenMXTemplate
from data_tools.inputs.siesta import SiestaTemplate
from keras_hamiltonian.files import place_in
from keras_hamiltonian.files import replacing
from keras_hamiltonian.structures.soundness import check_cell

TEMPLATES = (OpenMXTemplate, SiestaTemplate, AbacusTemplate)


def read_template(path):
    """The input of an earlier run, in which a structure can be replaced.

    Args:
        path: str or path. An input file of OpenMX or SIESTA (`.fdf`), or a
            folder with ABACUS' INPUT, STRU and KPT.

    Returns:
        A template with a method `write(folder, name, atoms)`.

    Raises:
        ValueError: if it is none of these, moves atoms, or writes no matrices.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise ValueError(f"There is no template {path}.")
    for kind in TEMPLATES:
        if kind.matches(path):
            return kind(path)
    raise ValueError(
        f"{path} is no template: expected an input of OpenMX, with "
        "<Atoms.SpeciesAndCoordinates, one of SIESTA, *.fdf, or a folder with "
        "ABACUS' INPUT and STRU."
    )


def write_inputs(template, structures, folder):
    """Writes one folder with inputs for each structure.

    All but the structure is that of the template: orbitals, potentials,
    functional, cut-offs. The grid of wave vectors gets the same density.
    Names of outputs are those of the structures, so that the folder can be
    converted, or trained on, once the runs are done.

    Args:
        template: see `read_template`.
        structures: dict from name to `ase.Atoms`.
        folder: str or path. New, or empty.

    Raises:
        ValueError: for a template that cannot be used, elements that it does
            not have, or a folder with files in it.

    Example:

    >>> write_inputs("runs/000/openmx.dat", {"a": atoms}, "next")
    ... # doctest: +SKIP
    """
    template, folder = read_template(template), pathlib.Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty. Choose another folder.")
    with replacing(folder) as place:
        for name, atoms in structures.items():
            check_cell(atoms)
            target = place_in(place, name)
            target.mkdir(parents=True)
            template.write(target, name, atoms)
