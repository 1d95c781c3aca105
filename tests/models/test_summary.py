"""A model on one page."""

import re

import pytest
from small_stages import small_stage

import keras_hamiltonian as kh


@pytest.fixture(scope="module")
def stage(data_folder):
    store = kh.HamiltonianStore(data_folder / "reference_graphene.h5")
    return small_stage(store, 1)


def page_of(model):
    pages = []
    model.summary(print_fn=pages.append)
    (page,) = pages
    return page


def rows_of(page):
    """Depth, part, class and weights of every row below the heading."""
    lines = page.splitlines()
    start = next(k for k, x in enumerate(lines) if x.startswith("part "))
    found = []
    for line in lines[start + 1 :]:
        indent, part, kind, size = re.fullmatch(
            r"( *)(\w+(?: \d+)?) +(\w+) +([\d,]+)", line
        ).groups()
        found.append((len(indent) // 2, part, kind, int(size.replace(",", ""))))
    return found


def test_a_stage_has_backbone_readout_and_groups(stage, capsys):
    page = page_of(stage)
    assert page.startswith("equivariant_stage: EquivariantStage, spin none\n")
    assert "C: 2s 2p 1d, reach 3.17506 Å" in page
    assert max(map(len, page.splitlines())) < 80
    rows = rows_of(page)
    found = {(depth, part): (kind, size) for depth, part, kind, size in rows}
    assert found[0, "equivariant_stage"][1] == stage.count_params()
    assert found[1, "backbone"] == (
        "EquivariantBackbone",
        stage.backbone.count_params(),
    )
    assert found[1, "readout"][0] == "BlockReadout"
    for k, group in enumerate(stage.backbone.groups, start=1):
        expected = "InteractionGroup", group.count_params()
        assert found[2, f"groups {k}"] == expected
    assert found[2, "baseline"][0] == "TwoCentreBaseline"
    # Parts add up to the whole.
    assert sum(size for d, *_, size in rows if d == 1) == stage.count_params()
    stage.summary()
    assert capsys.readouterr().out == page + "\n"


def test_a_cascade_has_both_stages(stage):
    second = kh.models.EquivariantTransformerStage.for_stage(
        stage, channels=8, hidden=12, irreps="8x0e + 4x1o", num_heads=2
    )
    cascade = kh.models.HamiltonianCascade(stage, second)
    assert cascade.stages() == [stage, second]
    assert stage.stages() == [stage] and second.stages() == [second]
    rows = rows_of(page_of(cascade))
    assert [(part, size) for d, part, _, size in rows if d == 0] == [
        (model.name, model.count_params()) for model in (stage, second)
    ]
    own = rows_of(page_of(second))
    assert rows[-len(own) :] == own
    assert [part for _, part, *_ in own if part.startswith("blocks")] == [
        "blocks 1",
        "blocks 2",
    ]
