"""What the two layouts of DeepH folders share: file names, info, writing."""

import json

import numpy as np

from keras_hamiltonian.files import write_text
from keras_hamiltonian.orbitals.block_matrix import BlockMatrix

MATRICES = ("hamiltonian", "overlap", "initial_hamiltonian")


def matrix_names(defaults, files):
    """File name of each matrix: the layout's, or the caller's.

    Args:
        defaults: dict. The layout's name of each of `MATRICES`.
        files: dict or `None`. Names that replace them; `None` as a name leaves
            the matrix out.

    Raises:
        ValueError: if `files` names something that is no matrix.
    """
    files = files or {}
    unknown = sorted(set(files) - set(MATRICES))
    if unknown:
        raise ValueError(
            f"`files` gives file names for {', '.join(MATRICES)}. Received: "
            f"{', '.join(map(str, unknown))}."
        )
    return {
        content: files.get(content, defaults[content]) for content in MATRICES
    }


def matrices_to_write(calculation, names):
    """Dict of the matrices that a calculation has and `names` does not drop.

    Raises:
        ValueError: if there is none.
    """
    matrices = {
        content: getattr(calculation, content)
        for content, name in names.items()
        if name and getattr(calculation, content) is not None
    }
    if not matrices:
        raise ValueError("The calculation has no matrix to write.")
    return matrices


def matrix_paths(folder, defaults, files):
    """Paths of the matrices that a folder holds.

    Raises:
        ValueError: if a file named in `files` is missing, or the folder holds
            no matrix.
    """
    paths = {}
    for content, name in matrix_names(defaults, files).items():
        if name is None:
            continue
        if (folder / name).is_file():
            paths[content] = folder / name
        elif content in (files or {}):
            raise ValueError(
                f"{folder} holds no file {name}, which `files` names as the "
                f"{content}."
            )
    if not paths:
        raise ValueError(
            f"{folder} holds neither a Hamiltonian ({defaults['hamiltonian']}) "
            f"nor an overlap ({defaults['overlap']}) nor H⁰ "
            f"({defaults['initial_hamiltonian']}). To read a prediction pass "
            f'files={{"hamiltonian": "{defaults["prediction"]}"}}.'
        )
    return paths


def read_info(folder):
    """`info.json` as a dict; empty where the file is missing.

    Raises:
        ValueError: if it is not a JSON object.
    """
    path = folder / "info.json"
    if not path.is_file():
        return {}
    try:
        info = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}.") from None
    if not isinstance(info, dict):
        raise ValueError(
            f"{path} should hold a JSON object. Received: {info!r}."
        )
    return info


def spin_layout(folder, is_spinful, matrices, num_orbitals):
    """`"none"`, `"collinear"` or `"noncollinear"`, read off the blocks.

    Real blocks with spin are collinear, complex ones non-collinear. Without a
    Hamiltonian the word of `info.json` decides.

    Raises:
        ValueError: if `info.json` and the blocks disagree.
    """
    matrix = matrices.get("hamiltonian", matrices.get("initial_hamiltonian"))
    if matrix is None or len(matrix) == 0:
        return "noncollinear" if is_spinful else "none"
    atom = int(matrix.atom_pairs[0, 3])
    rows = int(matrix.shapes[0, 0])
    has_spin = rows == 2 * num_orbitals[atom]
    if is_spinful is not None and bool(is_spinful) != has_spin:
        raise ValueError(
            f"{folder / 'info.json'} says spinful: {json.dumps(is_spinful)}, "
            f"but a block of atom {atom + 1} ({num_orbitals[atom]} orbitals) "
            f"has {rows} rows. Correct info.json or the orbital types."
        )
    is_complex = np.iscomplexobj(matrix.entries)
    if not has_spin and is_complex and matrix.entries.imag.any():
        raise ValueError(
            f"{folder}: the blocks are complex and have no spin. Real orbitals "
            "give real blocks; complex ones belong to two components of spin."
        )
    if not has_spin:
        return "none"
    return "noncollinear" if is_complex else "collinear"


def on_pairs(matrix, pairs, num_rows):
    """A matrix on the given pairs: zero blocks where it has none.

    Args:
        matrix: `BlockMatrix`.
        pairs: list of `(R1, R2, R3, i, j)`.
        num_rows: `(num_atoms,)` int array. Rows of the blocks of each atom.
    """
    blocks = [matrix.find(pair) for pair in pairs]
    return BlockMatrix.from_blocks(
        pairs,
        [
            np.zeros(
                (num_rows[pair[3]], num_rows[pair[4]]), matrix.entries.dtype
            )
            if block is None
            else block
            for pair, block in zip(pairs, blocks)
        ],
    )


def write_info(folder, info):
    """Writes `info.json` without the entries that are `None`."""
    info = {key: value for key, value in info.items() if value is not None}
    # NumPy's numbers are not JSON's; `item` makes them so.
    text = json.dumps(info, indent=4, default=lambda number: number.item())
    write_text(folder / "info.json", text + "\n")


def prepare_folder(folder, defaults, written):
    """Makes the folder, and looks for matrices of another calculation in it.

    Args:
        folder: path.
        defaults: dict. The layout's file names.
        written: collection of the file names that will be written.

    Raises:
        ValueError: if it holds a matrix that will not be overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stale = [
        defaults[content]
        for content in MATRICES
        if defaults[content] not in written
        and (folder / defaults[content]).exists()
    ]
    if stale:
        raise ValueError(
            f"{folder} already holds {', '.join(stale)}, which this "
            "calculation would not replace; the folder would mix two "
            "calculations. Choose another folder, or remove the file."
        )
