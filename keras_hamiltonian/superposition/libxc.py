"""Functionals of libxc, by PySCF, which the extra `libxc` installs."""

import numpy as np

HOW_TO_INSTALL = 'pip install "keras-hamiltonian[libxc]"'
KINDS = ("LDA", "GGA")


class LibxcFunctional:
    """Exchange and correlation that libxc knows: LDA and GGA.

    Args:
        name: str. As PySCF calls it, `"PBEsol"`, `"revPBE"` or `"BLYP"`, or by
            libxc's names, `"GGA_X_PBE_SOL,GGA_C_PBE_SOL"`.

    Raises:
        ValueError: if PySCF is not installed, the name is unknown, or the
            functional is a hybrid or a meta-GGA, or not both.

    Reference: Lehtola et al., SoftwareX 7, 1 (2018).
    """

    def __init__(self, name):
        try:
            from pyscf.dft import libxc
        except ImportError as error:
            raise ValueError(
                f"The functional {name!r} needs libxc: {HOW_TO_INSTALL}. PBE, "
                "PW92 and PZ81 come with the package."
            ) from error
        self.name, self._libxc = name, libxc
        try:
            _, parts = libxc.parse_xc(name)
            self.kind = libxc.xc_type(name)
        except (KeyError, ValueError, IndexError) as error:
            raise ValueError(
                f"libxc knows no functional {name!r}. Examples: PBEsol, "
                "revPBE, BLYP, or its own names as in "
                "GGA_X_PBE_SOL,GGA_C_PBE_SOL."
            ) from error
        is_hybrid = libxc.is_hybrid_xc(name) or libxc.is_nlc(name)
        if self.kind not in KINDS or is_hybrid:
            kind = "a hybrid or non-local" if is_hybrid else self.kind
            raise ValueError(
                f"{name!r} is {kind}; H⁰ is computed with LDA and GGA, which "
                "depend on the density and its gradient alone."
            )
        by_number = {
            number: text.split("_")[1]
            for text, number in libxc.XC_CODES.items()
            if text.startswith(("LDA_", "GGA_"))
        }
        words = {by_number.get(number) for number, _ in parts}
        if words not in ({"X", "C"}, {"XC"}):
            raise ValueError(
                f"{name!r} is not exchange and correlation. Give both, as in "
                "B88,LYP."
            )

    def __eq__(self, other):
        return isinstance(other, LibxcFunctional) and self.name == other.name

    def add_potential(self, potential, valence, full, inverse, least):
        """Adds V_xc on all planes but the outer two of each side.

        Central differences as for the functionals of the package.

        Args:
            potential: `(planes, N2, N3)` array, which is changed.
            valence, full: arrays of this shape, densities without and with the
                core.
            inverse: `(3, 3)` array, Cartesian to grid coordinates.
            least: float. Where the valence density is below, V_xc is zero.
        """
        inside = valence[1:-1] >= least
        slopes = 0.5 * _differences(full)
        density = full[1:-1][inside]
        gradient = np.einsum("ab,bp->ap", inverse, slopes[:, inside])
        rho = density if self.kind == "LDA" else np.vstack([density, gradient])
        _, found, *_ = self._libxc.eval_xc(self.name, rho, spin=0, deriv=1)
        potential[1:-1][inside] += found[0]
        if self.kind == "LDA":
            return
        flow = np.zeros((3, *inside.shape))
        # 2 (df/d|∇n|²) ∇n, halved for differences over two steps.
        flow[:, inside] = found[1] * gradient
        divergence = sum(
            np.tensordot(row, _differences(f), 1)
            for row, f in zip(inverse, flow)
        )
        potential[2:-2] -= np.where(inside[1:-1], divergence, 0.0)


def _differences(field):
    """Next minus last value along each axis: `(3, planes - 2, N2, N3)`."""
    middle = field[1:-1]
    return np.stack(
        [
            field[2:] - field[:-2],
            np.roll(middle, -1, 1) - np.roll(middle, 1, 1),
            np.roll(middle, -1, 2) - np.roll(middle, 1, 2),
        ]
    )
