"""Species files of any program, which is recognised by what a folder holds.

| program | files |
|---|---|
| OpenMX | `.pao` and `.vps` |
| SIESTA | `.ion.xml` |
| ABACUS | `.orb` and `.upf` |
"""

import pathlib

from data_tools.abacus_species import read_abacus_species
from data_tools.openmx_species import read_openmx_species
from data_tools.siesta_species import ENDING
from data_tools.siesta_species import read_siesta_species

ENDINGS = {"OpenMX": ".pao", "SIESTA": ENDING, "ABACUS": ".orb"}


def read_species(folder, orbitals=None, potentials=None, spin_orbit=False):
    """Reads the species of a folder.

    Args:
        folder: str or path.
        orbitals: list of str, one for each element. OpenMX: names such as
            `"C6.0-s2p2d1"`, which it needs. SIESTA: species labels. ABACUS:
            names of `.orb` files. Defaults to all of the folder.
        potentials: list of str. OpenMX: names such as `"C_PBE19"`. ABACUS:
            names of `.upf` files. Defaults to `PBE19`, or all of the folder.
        spin_orbit: bool. Whether spin-orbit coupling is wanted.

    Returns:
        Dict from element symbols to `Species`.

    Raises:
        ValueError: if the folder has no species files, or those of several
            programs; and see the reader of each program.

    Example:

    >>> species = read_species("siesta_run")               # doctest: +SKIP
    >>> step = kh.ZerothStep(species, grid_cutoff=300.0)   # doctest: +SKIP
    """
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
    if found == ["ABACUS"]:
        return read_abacus_species(folder, orbitals, potentials, spin_orbit)
    if found == ["SIESTA"]:
        return read_siesta_species(folder, orbitals, spin_orbit)
    if not orbitals:
        raise ValueError(
            "Which orbitals? Of OpenMX's species give names such as "
            "C6.0-s2p2d1 (--orbitals), or an input of the data set (--input)."
        )
    return read_openmx_species(folder, orbitals, potentials, spin_orbit)
