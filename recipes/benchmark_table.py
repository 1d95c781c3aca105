"""The table of `train_all_six.py`, beside what the paper found."""

import keras_hamiltonian as kh

MEV_PER_EV = kh.conventions.MEV_PER_EV


def code_of(row):
    """The material of a row: its set is `BG` or `BG twisted`."""
    return row["set"].split()[0]


def table_rows(preset, report, is_published):
    """Errors of a material and of its twisted set, `[MAE_all, MAE_cha]`."""
    sets = {preset.code: (report, preset.figures)}
    for name, errors in report["test_sets"].items():
        sets[f"{preset.code} {name}"] = (errors, preset.twisted_figures)
    counts = list(report["num_structures"].values())
    return [
        {
            "set": name,
            "counts": counts,
            "num_atoms": report["num_atoms"],
            "steps": report["steps"],
            "cpu_seconds": report["cpu_seconds"],
            "first_stage": in_mev(errors["first_stage_errors"]),
            "cascade": in_mev(errors["errors"]),
            "published_deeph_e3": figures and list(figures.deeph_e3),
            "published_cascade": figures and list(figures.cascade),
            "is_like_published": is_published
            and sum(counts) == sum(preset.counts)
            and report["num_atoms"] == preset.num_atoms,
        }
        for name, (errors, figures) in sets.items()
    ]


def in_mev(errors):
    """`[MAE_all, MAE_cha]` in meV."""
    return [MEV_PER_EV * errors[key] for key in ("mae_all", "mae_cha")]


def format_table(rows, is_published):
    """The table as Markdown."""
    lines = [
        "MAE_all / MAE_cha of the test structures, meV",
        "",
        "| set | train/val/test | steps | CPU s | first stage | cascade | "
        "paper: DeepH-E3 | paper: cascade |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        pairs = [
            "-" if row[key] is None else "{:.3f} / {:.3f}".format(*row[key])
            for key in (
                "first_stage",
                "cascade",
                "published_deeph_e3",
                "published_cascade",
            )
        ]
        counts = "/".join(map(str, row["counts"]))
        mark = "" if row["is_like_published"] else "*"
        steps = " + ".join(str(n) for n in row["steps"].values())
        seconds = f"{row['cpu_seconds']:.0f}"
        cells = [f"{row['set']}{mark}", counts, steps, seconds, *pairs]
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        "The paper's figures (arXiv 2401.00744 v5) belong to its own data. "
        "Sets with * are others, of fewer structures or smaller cells: their "
        "errors do not compare with the paper's."
    )
    if is_published:
        note += (
            " The rest is the published data, but which structures the paper "
            "tested is not known; divided at random, seed 42."
        )
    return "\n".join([*lines, "", note, ""])
