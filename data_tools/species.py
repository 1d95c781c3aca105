"""Species files of any program, which is recognised by what a folder holds.

| program | files |
|---|---|
| OpenMX | `.pao` and `.vps` |
| SIESTA | `.ion.xml` |
| ABACUS | `.orb` and `.upf` |
"""

import pathlib

from data_tools.abacus_species import read_abacus_species
from data_tools.openmx_species import only_names
from data_tools.openmx_species import openmx_zeroth_step
from data_tools.openmx_species import read_openmx_species
from data_tools.siesta_species import ENDING
from data_tools.siesta_species import read_siesta_species
from keras_hamiltonian.superposition.functionals import is_lda
from keras_hamiltonian.superposition.zeroth_step import ZerothStep

ENDINGS = {"OpenMX": ".pao", "SIESTA": ENDING, "ABACUS": ".orb"}


def read_zeroth_step(
    folder,
    input=None,
    *,
    orbitals=None,
    functional=None,
    spin_orbit=None,
    grid_cutoff=None,
    basis=None,
    spin=None,
    **options,
):
    """A `ZerothStep` of the species in a folder.

    Args:
        folder: str or path. See `read_species`.
        input: str or path. An OpenMX input of the data, which says all that
            follows; or `None`.
        orbitals: see `read_species`.
        functional: str. Defaults to `"PBE"`: species do not say it.
        spin_orbit: bool. Defaults to that of `spin`.
        grid_cutoff: float, rydberg. Defaults to 200.
        basis: `OrbitalBasis` of the data or of a model, where it is known.
        spin: str. Spin layout of the same. Defaults to `"none"`.
        **options: further ones of `ZerothStep`.

    Raises:
        ValueError: if an input is given and what it says, too; and see
            `openmx_zeroth_step` and `read_species`.

    Example:

    >>> step = read_zeroth_step("siesta_run", grid_cutoff=300.0)
    ... # doctest: +SKIP
    """
    if isinstance(orbitals, str):
        orbitals = [orbitals]
    settings = {
        "orbitals": orbitals,
        "functional": functional,
        "spin_orbit": spin_orbit,
        "grid_cutoff": grid_cutoff,
    }
    if input is not None:
        given = [name for name, x in settings.items() if x not in (None, [])]
        if given:
            raise ValueError(
                f"The input {input} says {', '.join(given)} itself. Give the "
                "input, or these settings, not both."
            )
        return openmx_zeroth_step(input, folder, **options)
    if spin_orbit is None:
        spin_orbit = spin == "noncollinear"
    return ZerothStep(
        read_species(folder, orbitals, None, spin_orbit, basis, functional),
        functional=functional or "PBE",
        spin="noncollinear" if spin_orbit else spin or "none",
        grid_cutoff=200.0 if grid_cutoff is None else grid_cutoff,
        source={"code": _program(folder), "orbitals": orbitals},
        **options,
    )


def read_species(
    folder,
    orbitals=None,
    potentials=None,
    spin_orbit=False,
    basis=None,
    functional=None,
):
    """Reads the species of a folder.

    Args:
        folder: str or path.
        orbitals: list of str, one for each element. OpenMX: names such as
            `"C6.0-s2p2d1"`. SIESTA: species labels. ABACUS: names of `.orb`
            files. Defaults to all of the folder; for OpenMX to what `basis`
            leaves to choose.
        potentials: list of str. OpenMX: names such as `"C_PBE19"`. ABACUS:
            names of `.upf` files. Defaults to `PBE19`, or all of the folder.
        spin_orbit: bool. Whether spin-orbit coupling is wanted.
        basis: `OrbitalBasis` of the data, where it is known. Of OpenMX's
            orbitals it says how many of each degree are taken.
        functional: str. OpenMX has other potentials for LDA. Defaults to
            `"PBE"`.

    Returns:
        Dict from element symbols to `Species`.

    Raises:
        ValueError: if the folder has no species files, or those of several
            programs; and see the reader of each program.

    Example:

    >>> species = read_species("siesta_run")               # doctest: +SKIP
    >>> step = kh.ZerothStep(species, grid_cutoff=300.0)   # doctest: +SKIP
    """
    program = _program(folder)
    if program == "ABACUS":
        return read_abacus_species(folder, orbitals, potentials, spin_orbit)
    if program == "SIESTA":
        return read_siesta_species(folder, orbitals, spin_orbit)
    if not orbitals and basis is None:
        raise ValueError(
            "Which orbitals? Of OpenMX's species give names such as "
            "C6.0-s2p2d1 (`orbitals`, --orbitals), or an input of the data "
            "set (`input`, --input)."
        )
    lda = functional is not None and is_lda(functional)
    names = only_names(folder, orbitals, potentials, basis, lda)
    return read_openmx_species(folder, *names, spin_orbit)


def _program(folder):
    """The name of the program whose files a folder holds."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder} with species files.")
    found = [
        program
        for program, ending in ENDINGS.items()
        if next(folder.rglob(f"*{ending}"), None) is not None
    ]
    if len(found) != 1:
        raise ValueError(
            f"{folder} holds species files of "
            f"{' and '.join(found) or 'no program'}; expected one of "
            f"{', '.join(f'{p} ({e})' for p, e in ENDINGS.items())}."
        )
    return found[0]
