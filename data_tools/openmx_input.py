"""What OpenMX's input says about H⁰: species, functional, spin and grid."""

import dataclasses
import pathlib
import re

from data_tools.radial_data import numbers

# OpenMX's names of functionals; LDA is that of Ceperley and Alder.
FUNCTIONALS = {
    "gga-pbe": "PBE",
    "lda": "PZ81",
    "lsda-ca": "PZ81",
    "lsda-pw": "PW92",
}
# Keywords that change H⁰, and words that say that they are not used.
UNKNOWN = {
    "scf.Ngrid": set(),
    "scf.Electric.Field": {"0", "0.", "0.0"},
    "scf.Hubbard.U": {"off", "Off", "OFF"},
}


@dataclasses.dataclass(frozen=True)
class OpenMXInput:
    """The settings that H⁰ depends on.

    Attributes:
        orbitals: list of str, such as `"C6.0-s2p2d1"`, one for each element.
        potentials: list of str, such as `"C_PBE19"`.
        functional: str, of `ZerothStep`.
        spin: str. `"none"` or `"noncollinear"`.
        spin_orbit: bool.
        grid_cutoff: float, rydberg.
    """

    orbitals: list
    potentials: list
    functional: str
    spin: str
    spin_orbit: bool
    grid_cutoff: float


def read_openmx_input(path):
    """Reads an input file of OpenMX, or a `.out` file, which repeats it.

    Raises:
        ValueError: if it names no species, another functional than PBE and
            LDA, a magnetic start, or what else changes H⁰ and is not
            implemented.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"There is no input file {path}.")
    text = path.read_text(errors="replace")
    species = input_section(text, "Definition.of.Atomic.Species")
    if not species or min(map(len, species)) < 3:
        raise ValueError(
            f"{path} has no complete section <Definition.of.Atomic.Species: "
            "it is no input of OpenMX."
        )
    functional = input_value(text, "scf.XcType", "LDA")
    if functional.lower() not in FUNCTIONALS:
        raise ValueError(
            f"{path} uses the functional {functional}; known: "
            f"{', '.join(FUNCTIONALS)}."
        )
    spin = input_value(text, "scf.SpinPolarization", "off").lower()
    if spin == "on" or _is_magnetic(path, text):
        raise ValueError(
            f"{path} starts from magnetic atoms, whose H⁰ is not implemented. "
            "Take H⁰ from the first step of a run."
        )
    for keyword, without in UNKNOWN.items():
        words = input_words(text, keyword)
        if not set(words) <= without:
            raise ValueError(
                f"{path} has {keyword} {' '.join(words)}, which changes H⁰ "
                "and is not implemented. Take H⁰ from the first step of a run."
            )
    cutoff = input_value(text, "scf.energycutoff", "150")
    return OpenMXInput(
        [line[1] for line in species],
        [line[2] for line in species],
        FUNCTIONALS[functional.lower()],
        "none" if spin == "off" else "noncollinear",
        input_value(text, "scf.SpinOrbit.Coupling", "off").lower() == "on",
        float(numbers(f"{path}: scf.energycutoff", cutoff, 1)[0]),
    )


def input_value(text, keyword, default):
    """The word after a keyword in an input, or the default."""
    words = input_words(text, keyword)
    return words[0] if words else default


def input_words(text, keyword):
    """All words after a keyword in an input."""
    found = re.search(
        rf"^[ \t]*{re.escape(keyword)}[ \t]+([^\n#]+)", text, re.M | re.I
    )
    return found.group(1).split() if found else []


def _is_magnetic(path, text):
    """Whether atoms begin with unequal numbers of both spins."""
    section = "Atoms.SpeciesAndCoordinates"
    spins = [line[5:7] for line in input_section(text, section)]
    spins = [
        numbers(f"{path}: {section}, line {n}", " ".join(words), 2)
        for n, words in enumerate(spins, start=1)
        if words
    ]
    return any(up != down for up, down in spins)


def input_section(text, keyword):
    """Words of each line between `<keyword` and `keyword>`."""
    keyword = re.escape(keyword)
    found = re.search(
        rf"^[ \t]*<{keyword}[^\n]*\n(.*?)^[ \t]*{keyword}>",
        text,
        re.DOTALL | re.MULTILINE | re.IGNORECASE,
    )
    lines = found.group(1).splitlines() if found else []
    words = [line.split("#")[0].split() for line in lines]
    return [line for line in words if line]
