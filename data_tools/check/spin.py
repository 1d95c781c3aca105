"""Is the spin layout `[[uu, ud], [du, dd]]` for each atom pair?"""

import numpy as np

from data_tools.check.finding import Finding

# eV. Converged non-magnetic runs keep time reversal to 1e-6.
TIME_REVERSAL_TOLERANCE = 1e-3
# eV. A weaker coupling than this has no reliable sign.
SMALLEST_COUPLING = 0.02
# Angular momentum of p = (y, z, x): (L_a)_bc = -i ε_abc.
_LEVI_CIVITA = np.array(
    [
        [[0, 0, 0], [0, 0, 1], [0, -1, 0]],
        [[0, 0, -1], [0, 0, 0], [1, 0, 0]],
        [[0, 1, 0], [-1, 0, 0], [0, 0, 0]],
    ]
)
_ORDER = [1, 2, 0]
_ANGULAR_MOMENTUM = -1j * _LEVI_CIVITA[:, _ORDER][:, :, _ORDER]
# Signs of the coupling's x, y and z parts after each mistake.
_MISTAKES = {
    (-1, 1, -1): "all numbers are complex conjugated (or the Fourier sign of "
    "the code is exp(-ikR))",
    (1, -1, -1): "up and down are exchanged",
    (1, -1, 1): "the blocks ud and du are exchanged",
    (-1, -1, -1): "up and down are exchanged in numbers that are complex "
    "conjugated",
}


def check_spin_layout(sample):
    """Do the blocks have the form that `spin` claims?"""
    calculation = sample.calculation
    findings = []
    for name, matrix in sample.matrices.items():
        if name == "S" or calculation.spin != "noncollinear":
            if np.iscomplexobj(matrix.entries) and matrix.entries.imag.any():
                findings.append(
                    Finding(
                        "spin_layout",
                        "error",
                        f"{name} is complex, but with spin="
                        f"{calculation.spin!r} it must be real.",
                        "Non-collinear data have spin='noncollinear'; S never "
                        "carries spin.",
                    )
                )
    if calculation.spin == "collinear" and calculation.hamiltonian is not None:
        findings.extend(_check_collinear(calculation.hamiltonian))
    return findings


def check_time_reversal(sample):
    """Without magnetism `dd = uu*` and `du = -ud*`, if the layout is right."""
    calculation = sample.calculation
    if calculation.spin != "noncollinear" or calculation.hamiltonian is None:
        return []
    error = time_reversal_error(calculation.hamiltonian)
    if error < TIME_REVERSAL_TOLERANCE:
        return []
    interleaved = time_reversal_error(_from_interleaved(calculation))
    if interleaved < 1e-2 * error:
        return [
            _interleaved_finding(f"time reversal is broken by {error:.2f} eV")
        ]
    return [
        Finding(
            "time_reversal",
            "warning",
            f"dd = uu*, du = -ud* is violated by up to {error:.2g} eV: the "
            "structure is magnetic, or the spin layout is another.",
            "Right for a magnetic crystal. For a non-magnetic one converge "
            "the calculation from zero moments, or look at the layout: up "
            "before down for each atom, [[uu, ud], [du, dd]].",
        )
    ]


def check_spin_orbit(sample):
    """Sign of the on-site coupling λ L·S of p shells, positive in nature."""
    calculation = sample.calculation
    if calculation.spin != "noncollinear" or calculation.hamiltonian is None:
        return []
    coupling = _coupling(calculation)
    if coupling is None or np.abs(coupling).max() < SMALLEST_COUPLING:
        return []
    signs = tuple(np.sign(coupling).astype(int).tolist())
    if signs == (1, 1, 1):
        return []
    cause = _MISTAKES.get(signs, "the axes of spin and space do not agree")
    return [
        Finding(
            "spin_orbit",
            "error",
            "The spin-orbit coupling λ L·S of the p shells has the wrong "
            f"sign: λ = ({', '.join(f'{x:.3f}' for x in coupling)}) eV along "
            f"x, y, z. It looks as if {cause}.",
            "Blocks are H_ij(R) = <i,0|H|j,R> with H(k) = Σ exp(+2πi k·R) "
            "H(R), layout [[uu, ud], [du, dd]].",
        )
    ]


def _check_collinear(hamiltonian):
    mixed = max(
        float(np.abs(b[rows, columns]).max(initial=0.0))
        for b in hamiltonian.blocks()
        for rows, columns in (quadrants(b)[1:3])
    )
    if mixed <= TIME_REVERSAL_TOLERANCE:
        return []
    interleaved = max(
        float(np.abs(np.stack([b[::2, 1::2], b[1::2, ::2]])).max(initial=0.0))
        for b in hamiltonian.blocks()
    )
    if interleaved <= TIME_REVERSAL_TOLERANCE:
        return [_interleaved_finding(f"ud and du reach {mixed:.2f} eV")]
    return [
        Finding(
            "spin_layout",
            "error",
            f"ud and du reach {mixed:.2g} eV, but spin is collinear.",
            "Use spin='noncollinear', or look at the layout.",
        )
    ]


def _interleaved_finding(symptom):
    return Finding(
        "spin_layout",
        "error",
        f"Spin is interleaved (orbital 1 up, orbital 1 down, ...): "
        f"{symptom} as it is, and nothing is wrong in that order.",
        "Reorder each block to up before down: block[::2], then block[1::2], "
        "for rows and columns.",
    )


def quadrants(block):
    """Slices of the parts uu, ud, du, dd of a block."""
    rows, columns = block.shape[0] // 2, block.shape[1] // 2
    up, down = slice(0, rows), slice(rows, None)
    left, right = slice(0, columns), slice(columns, None)
    return (up, left), (up, right), (down, left), (down, right)


def time_reversal_error(matrix):
    """Largest violation of `dd = uu*` and `du = -ud*`, in eV."""
    error = 0.0
    for block in matrix.blocks():
        uu, ud, du, dd = (block[part] for part in quadrants(block))
        error = max(
            error,
            float(np.abs(dd - uu.conj()).max(initial=0.0)),
            float(np.abs(du + ud.conj()).max(initial=0.0)),
        )
    return error


def _from_interleaved(calculation):
    """The Hamiltonian if its spin were the innermost index."""
    hamiltonian = calculation.hamiltonian
    entries = []
    for block in hamiltonian.blocks():
        rows, columns = (
            np.concatenate([np.arange(0, n, 2), np.arange(1, n, 2)])
            for n in block.shape
        )
        entries.append(block[np.ix_(rows, columns)].ravel())
    return hamiltonian.with_entries(np.concatenate(entries))


def _coupling(calculation):
    """λ along x, y, z in eV: projection of on-site p shells on L_a S_a.

    Of the element with the strongest coupling; `None` without p shells.
    """
    strongest = None
    for atom, symbol in enumerate(calculation.atoms.symbols):
        degrees = calculation.basis.shells[symbol]
        block = calculation.hamiltonian.find((0, 0, 0, atom, atom))
        if 1 not in degrees or block is None:
            continue
        start = sum(2 * l + 1 for l in degrees[: degrees.index(1)])
        shell = slice(start, start + 3)
        uu, ud, du, dd = (
            block[part][shell, shell] for part in quadrants(block)
        )
        # Σ_ss' S_a[s', s] H[s, s'] with S = σ / 2.
        spins = ((du + ud) / 2, (du - ud) / 2 * -1j, (uu - dd) / 2)
        coupling = np.array(
            [
                np.trace(momentum @ part).real
                for momentum, part in zip(_ANGULAR_MOMENTUM, spins)
            ]
        )
        if (
            strongest is None
            or np.abs(coupling).max() > np.abs(strongest).max()
        ):
            strongest = coupling
    return strongest
