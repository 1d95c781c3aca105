"""ABACUS' sparse matrices H(R) and S(R): one text file each.

Up to 3.8 (`out_mat_hs2`, `data-HR-sparse_SPIN0.csr`) a file starts with

    STEP: 0
    Matrix Dimension of H(R): 26
    Matrix number of H(R): 183

and from 3.9.0.25 on (`hrs1_nao.csr`) with the ionic step, the numbers of spins,
orbitals and cells, the unit cell and a banner. Then both list, for each cell,
`R1 R2 R3 count`, the values, the columns and the row pointers; the new one
breaks lines and names the three parts. Complex values are `(re,im)`.
"""

import dataclasses
import io
import re

import numpy as np
import scipy.sparse

from data_tools.cell_matrices import csr_of_file

RYDBERG_IN_EV = 13.605698
# Names of H (up, down) and S; for S also those of `calculation get_s`.
LAYOUTS = {
    "new": (
        ("hrs1_nao.csr", "hrs2_nao.csr"),
        ("srs1_nao.csr", "sr_nao.csr"),
    ),
    "old": (
        ("data-HR-sparse_SPIN0.csr", "data-HR-sparse_SPIN1.csr"),
        ("data-SR-sparse_SPIN0.csr", "SR.csr"),
    ),
}
_OLD = re.compile(
    rb"\s*(?:STEP:\s*(-?\d+)\s+)?"
    rb"Matrix Dimension of \w+\(R\):\s*(\d+)\s+"
    rb"Matrix number of \w+\(R\):\s*(\d+)"
)
_NEW = re.compile(rb"\s*--- Ionic Step\s+(\d+)\s*---")
_BANNER = re.compile(rb"CSR Format[^\n]*\n(?:[ \t]*#[^\n]*\n)*")


@dataclasses.dataclass
class CsrFile:
    """What one file holds.

    Attributes:
        is_new: bool. Whether it has the header of 3.9.0.25 and later.
        num_spins: int. Spins of the run as the header has it, 0 if unknown.
        cells: `(num_R, 3)` ints.
        stack: CSR matrix `(num_R n, n)`, the cells one below the other, in the
            file's units and order.
        structure: list of str. The lines of the unit cell, or empty.
    """

    is_new: bool
    num_spins: int
    cells: np.ndarray
    stack: scipy.sparse.csr_matrix
    structure: list

    @property
    def size(self):
        """Rows of one matrix."""
        return self.stack.shape[1]


def read_csr(path):
    """Reads one file.

    Args:
        path: path.

    Returns:
        `CsrFile`.

    Raises:
        ValueError: if it is of another kind, cut short, of a gamma-only run,
            or holds several steps.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    old, new = _OLD.match(data), _NEW.match(data)
    if old:
        size, count = int(old.group(2)), int(old.group(3))
        num_spins, structure, body = 0, [], data[old.end() :]
    elif new:
        size, count, num_spins, structure, body = _new_header(path, data)
    else:
        first = data[:60].split(b"\n")[0].decode(errors="replace")
        raise ValueError(
            f"{path} is no ABACUS matrix of a version known here: expected "
            "'STEP: ...' and 'Matrix Dimension of ...' (up to 3.8) or "
            "'--- Ionic Step ... ---' (3.9.0.25 and later), as text "
            f"(out_mat_hs2 1). Received: {first!r}."
        )
    if max(size, count) > len(data):
        raise ValueError(
            f"{path} announces {size} orbitals and {count} cells in "
            f"{len(data)} bytes. It is damaged or was cut short."
        )
    steps = len(re.findall(rb"STEP:|--- Ionic Step", data))
    if steps > 1:
        raise ValueError(
            f"{path} holds {steps} ionic steps; one calculation has one. "
            "Repeat it for the last structure, or set out_app_flag 0."
        )
    cells, stack = _read_cells(path, body, size, count, is_old=bool(old))
    return CsrFile(bool(new), num_spins, cells, stack, structure)


def _new_header(path, data):
    banner = _BANNER.search(data)
    head = data[: banner.start()] if banner else data[:4000]

    def number(what):
        found = re.search(rb"(\d+)\s*#\s*number of " + what, head)
        if found is None or banner is None:
            missing = what.decode() if found is None else "CSR Format"
            raise ValueError(
                f"{path}: the header of ABACUS 3.9 and later lacks the line "
                f"{missing!r}. The file is damaged, cut short or of an "
                "unknown version."
            )
        return int(found.group(1))

    numbers = [
        number(what)
        for what in (
            rb"localized basis",
            rb"Bravais lattice vector R",
            rb"spin directions",
        )
    ]
    if b"gamma-only folded" in head:
        raise ValueError(
            f"{path} is of a gamma-only run: the matrices of all cells are "
            "added up in it. Repeat the run with gamma_only 0 and a k-point "
            "file."
        )
    lines = head.decode(errors="replace").splitlines()
    start = max(k for k, line in enumerate(lines) if "# number of" in line)
    structure = [
        line.strip()
        for line in lines[start + 1 :]
        if line.strip() and not line.strip().startswith("#")
    ]
    return *numbers, structure, data[banner.end() :]


def _read_cells(path, body, size, count, is_old):
    lines = (line for line in io.BytesIO(body) if b"#" not in line)
    cells, parts, words = [], [], []

    def take(amount):
        # Words of one matrix at a time: a file may fill half the memory.
        while len(words) < amount:
            line = next(lines, None)
            if line is None:
                raise ValueError(
                    f"{path} ends within the matrix of cell {len(parts) + 1} "
                    f"of {count}. It was cut short: copy it again, or repeat "
                    "the run."
                )
            words.extend(line.split())
        taken = words[:amount]
        del words[:amount]
        return taken

    def is_more():
        while not words:
            line = next(lines, None)
            if line is None:
                return False
            words.extend(line.split())
        return True

    try:
        while is_more():
            *cell, filled = map(int, take(4))
            values = _numbers(take(filled))
            columns = np.array(take(filled), dtype=np.int64)
            pointers = np.zeros(size + 1, dtype=np.int64)
            if filled:
                pointers = np.array(take(size + 1), dtype=np.int64)
            parts.append(csr_of_file(values, columns, pointers, size, size))
            cells.append(cell)
    except (ValueError, OverflowError) as error:
        if str(path) in str(error):
            raise
        raise ValueError(
            f"{path}: the matrix of cell {len(parts) + 1} cannot be "
            f"read ({error}). The file is damaged."
        ) from None
    _check_cells(path, cells, count, is_old)
    return np.array(cells), scipy.sparse.vstack(parts, format="csr")


def _numbers(words):
    if not words or not words[0].strip(b"[").startswith(b"("):
        return np.array(words, dtype=np.float64)
    plain = b" ".join(words).translate(None, b"()[]").replace(b",", b" ")
    pairs = np.array(plain.split(), dtype=np.float64)
    return pairs[::2] + 1j * pairs[1::2]


def _check_cells(path, cells, count, is_old):
    found = {tuple(cell) for cell in cells}
    alone = [cell for cell in cells if tuple(-x for x in cell) not in found]
    if not cells or alone or len(found) < len(cells):
        raise ValueError(
            f"{path} lists {len(cells)} of {count} cells"
            + (f"; {alone[0]} lacks its inverse" if alone else "")
            + ". A Hermitian matrix lists R and -R once each: the file was "
            "cut short or is damaged."
        )
    if len(cells) > count or (is_old and len(cells) < count):
        raise ValueError(
            f"{path} lists {len(cells)} cells; its header announces {count}. "
            "It was cut short or is damaged."
        )


def spinor_places(widths):
    """Positions of ABACUS' orbitals (spin innermost) in up, down per atom."""
    starts = 2 * (np.cumsum(widths) - widths)
    return np.concatenate(
        [
            start + np.arange(2 * n) // 2 + n * (np.arange(2 * n) % 2)
            for start, n in zip(starts, widths)
        ]
    )


def permuted(stack, place):
    """The stack with row and column k moved to `place[k]`."""
    stack = stack.tocoo()
    cell, row = np.divmod(stack.row, len(place))
    stack.row = cell * len(place) + place[row]
    stack.col = place[stack.col]
    return stack.tocsr()
