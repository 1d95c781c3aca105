"""Species files of SIESTA and ABACUS with Gaussians in them."""

import math

import numpy as np
from gaussian_species import CORES
from gaussian_species import DENSITIES
from gaussian_species import ORBITALS
from gaussian_species import POTENTIALS
from gaussian_species import PROJECTORS
from gaussian_species import REACH
from gaussian_species import density
from gaussian_species import norm
from scipy.special import erf

NUMBERS = {"H": 1, "O": 8}
# Of each shell: with those of hydrogen the density is that of DENSITIES.
POPULATIONS = {"H": (1.0, 0.0), "O": (2.0, 3.5, 0.5)}
# Ends of the shells, where nothing is left of them.
ENDS = {"H": (REACH, 5.5), "O": (5.2, REACH, 5.7)}
RYDBERGS = 2.0


def _block(values):
    rows = np.asarray(values).reshape(-1)
    return "\n".join(" ".join(f"{x:.15e}" for x in r) for r in _rows(rows))


def _rows(values):
    return [values[start : start + 4] for start in range(0, len(values), 4)]


def _radfunc(function, end, points=501):
    mesh = np.linspace(0.0, end, points)
    data = "\n".join(f"{r:.15e} {f:.15e}" for r, f in zip(mesh, function(mesh)))
    return (
        f"<radfunc>\n<npts> {points} </npts>\n<delta> {mesh[1]:.12e} </delta>\n"
        f"<cutoff> {end} </cutoff>\n<data>\n{data}\n</data>\n</radfunc>\n"
    )


def _gaussian(exponent, height):
    return lambda r: height * np.exp(-exponent * r**2)


def write_ion_xml(folder, symbol, label=None, spin_orbit=True):
    """A `.ion.xml` file; without spin-orbit coupling it takes e₊ alone."""
    paos = "".join(
        f'<orbital\n l=" {l}" n="2" z="1" ispol=" {n // 2}"\n'
        f' population=" {population}" >\n'
        f"{_radfunc(_gaussian(a, norm(l, a)), end)}</orbital>\n"
        for n, ((l, a), population, end) in enumerate(
            zip(ORBITALS[symbol], POPULATIONS[symbol], ENDS[symbol])
        )
    )
    kbs, count = "", 0
    for l, a, energies in PROJECTORS[symbol]:
        momenta = (l + 0.5, l - 0.5)
        for j, energy in list(zip(momenta, energies))[: 1 + spin_orbit]:
            word = f' j=" {j}"\n' if spin_orbit else ""
            kbs += (
                f'<projector\n l=" {l}"\n{word} n=" 1"\n ref_energy='
                f'" {RYDBERGS * energy:.12f}" >\n'
                f"{_radfunc(_gaussian(a, norm(l, a)), 5.0)}</projector>\n"
            )
            count += 1
    exponent, height = POTENTIALS[symbol]
    core = ""
    if symbol in CORES:
        core = f"<core>\n{_radfunc(density(*CORES[symbol]), 4.0)}</core>\n"
    text = (
        f'<ion version="0.1">\n<symbol> {symbol} </symbol>\n'
        f"<z> {NUMBERS[symbol]} </z>\n"
        f"<valence> {sum(POPULATIONS[symbol])} </valence>\n"
        f"<norbs_nl> {len(ORBITALS[symbol])} </norbs_nl>\n"
        f"<nprojs_nl> {count} </nprojs_nl>\n"
        f"<preamble>\n Charge= 0.17977+309\n</preamble>\n"
        f"<paos>\n{paos}</paos>\n<kbs>\n{kbs}</kbs>\n"
        f"<vna>\n{_radfunc(_gaussian(exponent, RYDBERGS * height), REACH)}"
        f"</vna>\n{core}</ion>\n"
    )
    path = folder / f"{label or symbol}.ion.xml"
    path.write_text(text)
    return path


def write_orb(folder, symbol):
    """An `.orb` file; its functions are a little less than normalised."""
    mesh = np.arange(0.0, REACH + 1e-9, 0.01)
    lines = [
        "-" * 75,
        f"Element                     {symbol}",
        "Energy Cutoff(Ry)          100",
        f"Radius Cutoff(a.u.)         {REACH}",
    ]
    degrees = [l for l, _ in ORBITALS[symbol]]
    lines += [
        f"Number of {'SPD'[l]}orbital-->       {degrees.count(l)}"
        for l in sorted(set(degrees))
    ]
    lines += ["-" * 75, "SUMMARY  END", "", f"Mesh  {len(mesh)}", "dr  0.01"]
    for l, a in ORBITALS[symbol]:
        values = 0.999 * norm(l, a) * mesh**l * np.exp(-a * mesh**2)
        lines += ["   Type    L    N", f"   0    {l}    0", _block(values)]
    path = folder / f"{symbol}_gga_6au_100Ry.orb"
    path.write_text("\n".join(lines) + "\n")
    return path


def upf_contents(symbol, mesh, spin_orbit):
    """Local potential, r β, labels, D, core and density of a UPF file.

    The local potential lacks the Hartree potential of the density, so that
    the neutral atom has the Gaussian one. The β of each l and j are mixed with
    another function, which D takes out again.
    """
    exponent, electrons = DENSITIES[symbol]
    hartree = electrons * erf(np.sqrt(2 * exponent) * mesh)
    hartree = np.divide(
        hartree,
        mesh,
        out=np.full_like(mesh, electrons * math.sqrt(8 * exponent / math.pi)),
        where=mesh > 0,
    )
    local = _gaussian(*POTENTIALS[symbol])(mesh) - hartree
    betas, labels, strengths = [], [], []
    mixing = np.array([[1.0, 0.4], [-0.3, 1.5]])
    undo = np.linalg.inv(mixing)
    for l, a, energies in PROJECTORS[symbol]:
        pair = [norm(l, b) * mesh ** (l + 1) for b in (a, 1.3 * a)]
        pair = [f * np.exp(-b * mesh**2) for f, b in zip(pair, (a, 1.3 * a))]
        momenta = (l + 0.5, l - 0.5)
        for j, energy in list(zip(momenta, energies))[: 1 + spin_orbit]:
            betas += list(mixing @ pair)
            labels += [(l, j)] * 2
            strengths.append(undo.T @ np.diag([RYDBERGS * energy, 0.0]) @ undo)
    matrix = np.zeros((len(betas), len(betas)))
    for n, block in enumerate(strengths):
        matrix[2 * n : 2 * n + 2, 2 * n : 2 * n + 2] = block
    core = density(*CORES[symbol])(mesh) if symbol in CORES else None
    # Files hold a few electrons more or less.
    atom = 1.03 * 4 * np.pi * mesh**2 * density(exponent, electrons)(mesh)
    return RYDBERGS * local, betas, labels, matrix, core, atom


def write_upf(folder, symbol, version, spin_orbit=True):
    """A UPF file: version 2 on a linear mesh, version 1 on a logarithmic."""
    mesh = np.arange(0.0, 8.0, 0.01)
    if version == 1:
        mesh = np.geomspace(1e-5, 8.0, 900)
    contents = upf_contents(symbol, mesh, spin_orbit)
    text = (first_version if version == 1 else second_version)(
        symbol, mesh, contents, spin_orbit
    )
    path = folder / f"{symbol}_ONCV.{'UPF' if version == 1 else 'upf'}"
    path.write_text(text)
    return path


def second_version(symbol, mesh, contents, spin_orbit):
    local, betas, labels, matrix, core, atom = contents
    projectors = "".join(
        f'<PP_BETA.{n + 1} type="real" index="{n + 1}"\n angular_momentum='
        f'"{l}" cutoff_radius_index="{len(mesh)}" >\n{_block(beta)}\n'
        f"</PP_BETA.{n + 1}>\n"
        for n, (beta, (l, _)) in enumerate(zip(betas, labels))
    )
    spins = "".join(
        f'<PP_RELBETA.{n + 1} index="{n + 1}" lll="{l}" jjj="{j}"/>\n'
        for n, (l, j) in enumerate(labels)
    )
    flag = "TF"[core is None]
    return (
        '<UPF version="2.0.1">\n<PP_INFO>\n<PP_INPUTFILE> 3 < 4 & 5\n'
        f"</PP_INPUTFILE></PP_INFO>\n<PP_HEADER\n"
        f' comment="a > b" element="{symbol} " pseudo_type="NC"\n'
        f' is_ultrasoft="F" has_so="{"FT"[spin_orbit]}"\n'
        f' core_correction="{flag}" z_valence="{DENSITIES[symbol][1]:.2f}"\n'
        f' number_of_proj="{len(betas)}"/>\n'
        f'<PP_MESH mesh="{len(mesh)}">\n<PP_R type="real">\n{_block(mesh)}\n'
        f"</PP_R>\n<PP_RAB>\n{_block(0 * mesh)}\n</PP_RAB>\n</PP_MESH>\n"
        + (
            f"<PP_NLCC>\n{_block(core)}\n</PP_NLCC>\n"
            if core is not None
            else ""
        )
        + f"<PP_LOCAL>\n{_block(local)}\n</PP_LOCAL>\n<PP_NONLOCAL>\n"
        f"{projectors}<PP_DIJ>\n{_block(matrix)}\n</PP_DIJ>\n</PP_NONLOCAL>\n"
        f"<PP_RHOATOM>\n{_block(atom)}\n</PP_RHOATOM>\n"
        + (f"<PP_SPIN_ORB>\n{spins}</PP_SPIN_ORB>\n" if spin_orbit else "")
        + "</UPF>\n"
    )


def first_version(symbol, mesh, contents, spin_orbit):
    local, betas, labels, matrix, core, atom = contents
    projectors = ""
    for n, (beta, (l, _)) in enumerate(zip(betas, labels)):
        end = int(np.flatnonzero(np.abs(beta) > 1e-14)[-1]) + 1
        projectors += (
            f"<PP_BETA>\n {n + 1} {l}   Beta L\n {end}\n{_block(beta[:end])}\n"
            "  1.20  1.20\n</PP_BETA>\n"
        )
    rows = [
        f"{i + 1} {j + 1} {matrix[i, j]:.15e}"
        for i in range(len(betas))
        for j in range(i, len(betas))
        if matrix[i, j]
    ]
    strengths = "\n".join([f"{len(rows)}   Number of nonzero Dij", *rows])
    more = "1S 1 0 0.50 1.00\n"
    more += "".join(f"{l} {j}\n" for l, j in labels) + "-7.0 9.0 8.0 0.02\n"
    flag = "TF"[core is None]
    return (
        f"<PP_INFO>\nby hand\n</PP_INFO>\n<PP_HEADER>\n 0  Version Number\n"
        f" {symbol}  Element\n NC  Norm - Conserving\n {flag}  Nonlinear Core\n"
        f" SLA PZ NOGX NOGC  Exchange\n {DENSITIES[symbol][1]}  Z valence\n"
        " 0.0  Total energy\n 0.0 0.0  cutoff\n 2  Max angular momentum\n"
        f" {len(mesh)}  points\n 1 {len(betas)}  Wavefunctions, Projectors\n"
        f"</PP_HEADER>\n<PP_MESH>\n<PP_R>\n{_block(mesh)}\n</PP_R>\n"
        "</PP_MESH>\n"
        + (
            f"<PP_NLCC>\n{_block(core)}\n</PP_NLCC>\n"
            if core is not None
            else ""
        )
        + f"<PP_LOCAL>\n{_block(local)}\n</PP_LOCAL>\n<PP_NONLOCAL>\n"
        f"{projectors}<PP_DIJ>\n{strengths}\n</PP_DIJ>\n</PP_NONLOCAL>\n"
        f"<PP_RHOATOM>\n{_block(atom)}\n</PP_RHOATOM>\n"
        + (f"<PP_ADDINFO>\n{more}</PP_ADDINFO>\n" if spin_orbit else "")
    )
