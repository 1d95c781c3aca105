"""Units, axes and orders of the whole package, stated once.

Units
    Energies are eV, lengths Å, wave vectors fractional (units of the
    reciprocal lattice). Reports print errors in meV.

Lattice and positions
    An `ase.Atoms`: rows of `cell` are the lattice vectors, rows of `positions`
    the Cartesian coordinates.

Blocks
    The block of the pair `(R1, R2, R3, i, j)` is
    `H_ij(R) = <i in cell 0 | H | j in cell R>`, atoms counted from 0. The edge
    points from i to j: `r_ij = positions[j] + R @ cell - positions[i]`.
    Hermiticity reads `H_ij(R) = H_ji(-R)^†`.

Orbitals
    Radial functions (shells) outer, m inner, `m = -l, ..., l` in each shell.
    Real spherical harmonics with the usual signs and no Condon-Shortley phase:
    p is (y, z, x); d is (xy, yz, 3z²-r², xz, x²-y²). These are e3nn's
    components, which names the polar axis y instead of z.

Spin
    A spinful block is `(2 n_i, 2 n_j)`: up before down for each atom,
    `[[uu, ud], [du, dd]]`. The overlap is never spinful.

Bloch sum
    `H(k) = Σ_R H(R) exp(2πi k·R)`: the phase of the lattice translation only.
"""

# The constants of DeepH's converters. OpenMX's own differ in the ninth digit
# (27.2113845 in both cases; bohr 0.529177249 Å); data written by one program
# is read back with the constants of that program.
HARTREE_IN_EV = 27.2113845
BOHR_IN_ANGSTROM = 0.529177249
RYDBERG_IN_EV = HARTREE_IN_EV / 2
MEV_PER_EV = 1000.0

SHELL_LETTERS = "spdfghik"
SPIN_LAYOUTS = ("none", "collinear", "noncollinear")
# The program in the `source` of calculations that this package makes.
CODE = "keras_hamiltonian"
# Inputs of a batch that hold H⁰.
INITIAL_BLOCKS = ("initial_onsite", "initial_hopping")
# Values of the argument `initial` with which H⁰ is added at the output.
CORRECTIONS = ("correct", "both")
