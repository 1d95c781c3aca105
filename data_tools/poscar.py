"""POSCAR files, through ASE."""

import ase.io

# After comment, scale and lattice come symbols and counts.
_COUNTS = slice(5, 8)


def read_poscar(path):
    """Reads a POSCAR whose counts its lines can hold.

    Args:
        path: path.

    Returns:
        `ase.Atoms`.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        lines = path.read_text(errors="replace").splitlines()
        for line in lines[_COUNTS]:
            words = line.split()
            if all(word.isdigit() for word in words):
                if sum(map(int, words)) > len(lines):
                    raise ValueError(
                        f"it announces {line.strip()} atoms in {len(lines)} "
                        "lines"
                    )
        return ase.io.read(path, format="vasp")
    except Exception as error:
        # ASE's parser raises exceptions of many kinds.
        raise ValueError(
            f"{path} cannot be read as a POSCAR ({type(error).__name__}: "
            f"{error}). Expected element symbols above their counts; dummy "
            "symbols such as My1 are not supported."
        ) from None
