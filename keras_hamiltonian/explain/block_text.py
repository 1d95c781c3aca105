"""What `explain_block` found, in words."""


def block_text(influence, displacement, left_out):
    """Near-sightedness, shares of the degrees, the largest change.

    Args:
        influence: `Influence`.
        displacement: `Displacement`, or `None`.
        left_out: dict from `"displacement"` to the reason then.

    Returns:
        str of several lines.
    """
    lines = [f"{influence.origin.label}: {influence.size:.4g} eV"]
    if influence.target.center(influence.atoms) is not None:
        lines.append("   distance   atoms  largest influence    all farther")
        lines += [
            f"  {shell['from']:4.0f} -{shell['to']:3.0f} Å "
            f"{shell['atoms']:6d}  {shell['largest']:12.3g} eV/Å  "
            f"{100 * shell['beyond']:12.3g} %"
            for shell in influence.against_distance(1.0)
        ]
        lines.append(
            f"Beyond {influence.image_distance:.1f} Å images of an atom "
            "overlap; a larger width tells them apart."
        )
    for name, values in (
        ("degree l of atoms", influence.degrees),
        ("|m| of edges", influence.edge_orders),
    ):
        if values.sum() > 0:
            shares = 100 * values.sum(axis=0) / values.sum()
            shares = "  ".join(f"{k}: {x:.0f} %" for k, x in enumerate(shares))
            lines.append(f"Share of each {name}:  {shares}")
    if displacement is None:
        return "\n".join(
            [*lines, f"No displacement: {left_out['displacement']}"]
        )
    first, second = displacement.shares.argsort()[-2:][::-1]
    lines.append(
        "Largest change by a displacement: "
        f"{displacement.singular_values[0]:.3g} eV/Å; atom {first} has "
        f"{100 * displacement.shares[first]:.0f} % of it, atom {second} "
        f"{100 * displacement.shares[second]:.0f} %."
    )
    return "\n".join(lines)
