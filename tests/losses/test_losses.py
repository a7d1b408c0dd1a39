"""Each loss: a value by hand, a plain loop over its equation, its gradient in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses import LossInputs, WeightedSum
from asl.losses.classification import (
    ArcFace,
    CosFace,
    SmoothedCrossEntropy,
    arcface_logits,
    cosface_logits,
)
from asl.losses.contrastive import (
    InfoNCE,
    KoLeo,
    SoftTriplet,
    contrastive,
    info_nce,
    koleo,
    soft_triplet,
)
from asl.losses.copynce import CopyNCE, copy_nce
from asl.losses.hard_pairs import (
    HoldTogether,
    NearestNegative,
    PushApart,
    RelationalDistillation,
    nearest_negative,
    relational,
)
from asl.losses.memory_bank import CrossBatchContrastive, QueueNCE
from asl.losses.norm_ratio import (
    NormRatio,
    draw_published_pairs,
    norm_log_ratio,
    norm_margin,
    norm_ratio,
    ordered_pairs,
)
from asl.types import AslError, UsageError

SOURCE = torch.tensor([0, 0, 1, 1, 2, 2])


def features(seed: int = 0, rows: int = 6, dim: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=generator, dtype=torch.float64)


def unit(seed: int = 0) -> Tensor:
    return F.normalize(features(seed), dim=1)


@pytest.mark.parametrize(
    ("ratio", "value"),
    [
        (0.25, 2.117),
        (0.5, 1.649),
        (0.8, 1.221),
        (1.0, 1.0),
        (1.25, 0.779),
        (2.0, 0.368),
        (4.0, 0.0498),
    ],
)
def test_norm_ratio_has_the_published_values(ratio: float, value: float) -> None:
    assert float(norm_ratio(torch.tensor(3.0 * ratio), torch.tensor(3.0))) == pytest.approx(
        value, abs=1e-3
    )


def test_norm_ratio_over_all_pairs_is_the_loop() -> None:
    inputs = LossInputs(
        features(),
        SOURCE,
        content=torch.tensor([1.0, 0.5, 0.3, 1.0, 0.7, 0.69], dtype=torch.float64),
    )
    terms = []
    for a in range(6):
        for b in range(6):
            if SOURCE[a] == SOURCE[b] and inputs.content[a] > inputs.content[b] + 0.02:  # type: ignore[index]
                terms.append(math.exp(1 - float(inputs.norms[a] / inputs.norms[b])))
    assert len(terms) == 2, "0.7 and 0.69 are too close to be ordered"
    assert float(NormRatio(pairs="all", gap=0.02)(inputs)) == pytest.approx(sum(terms) / 2)


def test_published_pairs_put_the_fuller_view_first_and_give_up_after_five_draws() -> None:
    content = torch.tensor([[1.0, 0.4, 0.4, 0.7], [0.5, 0.5, 0.5, 0.5]]).repeat(200, 1)
    pairs = draw_published_pairs(content, generator=torch.Generator().manual_seed(0))
    values = torch.gather(content, 1, pairs)
    assert (values[0::2, 0] >= values[0::2, 1]).all()
    assert (values[0::2, 0] > values[0::2, 1]).float().mean() > 0.95
    assert (pairs[1::2, 0] == pairs[1::2, 1]).all(), "equal contents: the same place twice, ratio 1"
    inputs = LossInputs(
        features(rows=4), torch.zeros(4), content=torch.full((4,), 0.5), view=torch.arange(4)
    )
    assert float(NormRatio(pairs="published")(inputs)) == pytest.approx(1.0)


def test_published_pairs_of_neighbours_that_show_one_original() -> None:
    """A hard pair may end with the source of the next one; groups are by the number of the view."""
    source, view = torch.tensor([5, 5, 7, 7, 7, 7]), torch.tensor([0, 1, 0, 1, 0, 1])
    content = torch.tensor([1.0, 0.5, 1.0, 0.5, 1.0, 0.5])
    inputs = LossInputs(features(), source, content=content, view=view)
    torch.manual_seed(0)
    found = [float(NormRatio(pairs="published")(inputs)) for _ in range(50)]
    ratios = [float(torch.exp(1 - inputs.norms[row] / inputs.norms[row + 1])) for row in (0, 2, 4)]
    assert sorted(found)[len(found) // 2] == pytest.approx(sum(ratios) / 3)


def test_the_order_of_the_norms_is_what_is_learned() -> None:
    content = torch.tensor([1.0, 0.3])
    right = LossInputs(
        torch.tensor([[2.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 0]), content=content
    )
    wrong = LossInputs(
        torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 0]), content=content
    )
    for form in ("ratio", "log_ratio", "margin"):
        loss = NormRatio(form=form)  # type: ignore[arg-type]
        assert float(loss(right)) < float(loss(wrong)), form


def test_norm_variants_by_hand() -> None:
    a, b = torch.tensor(math.e), torch.tensor(1.0)
    assert float(norm_margin(a, b, margin=1.5)) == pytest.approx(0.5)
    assert float(norm_margin(a, b, margin=0.5)) == 0.0
    assert float(norm_log_ratio(a, b, scale=2.0)) == pytest.approx(math.log1p(math.exp(-2.0)) / 2)


def test_cosface_and_arcface_by_hand() -> None:
    cosines = torch.tensor([[0.5, 0.2]])
    assert torch.allclose(
        cosface_logits(cosines, torch.tensor([0]), scale=10, margin=0.3), torch.tensor([[2.0, 2.0]])
    )
    moved = arcface_logits(cosines, torch.tensor([0]), scale=10, margin=0.3)
    assert float(moved[0, 0]) == pytest.approx(10 * math.cos(math.acos(0.5) + 0.3), rel=1e-5)
    assert float(moved[0, 1]) == pytest.approx(2.0)


def test_info_nce_is_the_loop() -> None:
    rows, temperature, terms = unit(), 0.2, []
    for i in range(6):
        for j in range(6):
            if i != j and SOURCE[i] == SOURCE[j]:
                others = [n for n in range(6) if SOURCE[n] != SOURCE[i]]
                top = math.exp(float(rows[i] @ rows[j]) / temperature)
                terms.append(
                    -math.log(
                        top
                        / (
                            top
                            + sum(math.exp(float(rows[i] @ rows[n]) / temperature) for n in others)
                        )
                    )
                )
    assert float(info_nce(rows, SOURCE, temperature=temperature)) == pytest.approx(
        sum(terms) / len(terms)
    )


def test_suspected_copies_are_no_negatives() -> None:
    rows = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.001], [0.0, 1.0]]), dim=1)
    inputs = LossInputs(rows, torch.tensor([0, 0, 1, 1]))
    assert float(InfoNCE(suspect_above=0.99)(inputs)) < float(InfoNCE()(inputs))


def test_a_known_hard_pair_is_a_negative_however_alike() -> None:
    rows = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.001], [1.0, 0.1]]), dim=1)
    source = torch.tensor([0, 0, 1, 1])
    suspected, known = (
        LossInputs(rows, source, pair_index=torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2))
        for pairs in ([], [[0, 2], [1, 3]])
    )
    logits = rows @ rows.T / 0.05
    terms = [
        math.log1p(math.exp(float(logits[i, pair]) - float(logits[i, positive])))
        for i, positive, pair in ((0, 1, 2), (1, 0, 3), (2, 3, 0), (3, 2, 1))
    ]
    assert float(InfoNCE(suspect_above=0.99)(known)) == pytest.approx(sum(terms) / 4, rel=1e-5)
    assert float(InfoNCE(suspect_above=0.99)(suspected)) == 0.0, "all of them look like copies"


def test_soft_triplet_and_koleo_are_their_loops() -> None:
    rows = features(1)
    distance = [[float((a - b).norm()) for b in rows] for a in rows]
    terms = [
        math.log1p(
            math.exp(
                max(distance[i][j] for j in range(6) if j != i and SOURCE[j] == SOURCE[i])
                - min(distance[i][n] for n in range(6) if SOURCE[n] != SOURCE[i])
            )
        )
        for i in range(6)
    ]
    assert float(soft_triplet(rows, SOURCE)) == pytest.approx(sum(terms) / 6)
    u = unit(1)
    spread = [
        -math.log(min(float((u[i] - u[n]).norm()) for n in range(6) if SOURCE[n] != SOURCE[i]))
        for i in range(6)
    ]
    assert float(koleo(u, SOURCE)) == pytest.approx(sum(spread) / 6)


def test_contrastive_is_the_loop() -> None:
    u = unit(2)
    pull, push = [], []
    for i in range(6):
        for j in range(6):
            gap = float((u[i] - u[j]).norm())
            if SOURCE[i] == SOURCE[j] and i != j:
                pull.append(max(0.0, gap - 0.1))
            elif SOURCE[i] != SOURCE[j] and gap < 1.2:
                push.append(1.2 - gap)
    value = contrastive(u, SOURCE, u, SOURCE, positive_margin=0.1, negative_margin=1.2)
    assert float(value) == pytest.approx(sum(pull) / len(pull) + sum(push) / len(push))


def test_a_row_is_no_positive_of_itself_in_float32() -> None:
    rows = F.normalize(torch.randn(64, 256, generator=torch.Generator().manual_seed(0)), dim=1)
    source = torch.arange(32).repeat_interleave(2)
    other = torch.arange(64) ^ 1
    pull = (rows - rows[other]).norm(dim=1).mean()
    value = contrastive(rows, source, rows, source, positive_margin=0.0, negative_margin=0.0)
    torch.testing.assert_close(value, pull, rtol=1e-4, atol=0)
    memory = torch.cat([rows, rows[:1]])
    held = contrastive(
        rows,
        source,
        memory,
        torch.cat([source, source[:1]]),
        positive_margin=0.0,
        negative_margin=0.0,
    )
    assert float(held) < float(pull), "what a memory holds of the same original is a positive"


def test_nearest_negative_and_relational_by_loop() -> None:
    u, t = unit(3), unit(4)
    worst = [max(float(u[i] @ u[n]) for n in range(6) if SOURCE[n] != SOURCE[i]) for i in range(6)]
    assert float(nearest_negative(u, SOURCE)) == pytest.approx(
        sum(-math.log(max(1 - w, 1e-3)) for w in worst) / 6
    )
    total = 0.0
    for i in range(6):
        others = [j for j in range(6) if j != i]
        p = torch.softmax(torch.stack([t[i] @ t[j] for j in others]) / 0.1, 0)
        q = torch.softmax(torch.stack([u[i] @ u[j] for j in others]) / 0.1, 0)
        total += float((p * (p.log() - q.log())).sum())
    assert float(relational(u, t, temperature=0.1)) == pytest.approx(total / 6)
    assert float(relational(u, u, temperature=0.1)) == pytest.approx(0.0, abs=1e-9)


def test_copy_nce_finds_its_own_pixels() -> None:
    tokens = F.normalize(
        torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=2
    )
    same = torch.eye(4, dtype=torch.float64).expand(2, 4, 4)
    aligned = copy_nce(tokens, tokens, same, scale=16, gamma=3)
    shuffled = copy_nce(tokens, tokens[:, [1, 2, 3, 0]], same, scale=16, gamma=3)
    assert float(aligned) < float(shuffled)
    logits = 16 * tokens[0] @ tokens[0].T
    expected = -torch.log_softmax(logits, dim=1).diagonal().mean()
    assert float(copy_nce(tokens[:1], tokens[:1], same[:1], scale=16, gamma=3)) == pytest.approx(
        float(expected)
    )
    assert float(copy_nce(tokens, tokens, torch.zeros_like(same), scale=16, gamma=3)) == 0.0


def test_copy_nce_names_a_wrong_grid() -> None:
    inputs = LossInputs(
        features(), SOURCE, tokens=torch.zeros(6, 8, 3, 3), overlaps=torch.zeros(3, 1, 4, 4)
    )
    with pytest.raises(AslError, match=r"set data\.grid=3"):
        CopyNCE()(inputs)


PAIRS = torch.tensor([[0, 2], [1, 4]])


def test_both_readings_of_a_hard_pair() -> None:
    close = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    pairs = {"pair_index": torch.tensor([[0, 1]]), "pair_directed": torch.tensor([True])}
    apart = LossInputs(close, torch.tensor([0, 1]), **pairs)
    assert float(PushApart(margin=0.3)(apart)) == pytest.approx(0.7)
    assert float(HoldTogether()(apart)) == pytest.approx(math.exp(-1.0)), (
        "same angle; the first holds more, norm 2 to 1"
    )
    unknown = LossInputs(
        close,
        torch.tensor([0, 1]),
        pair_index=pairs["pair_index"],
        pair_directed=torch.tensor([False]),
    )
    assert float(HoldTogether()(unknown)) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "loss",
    [
        lambda f: info_nce(F.normalize(f, dim=1), SOURCE, temperature=0.3),
        lambda f: soft_triplet(f, SOURCE),
        lambda f: koleo(F.normalize(f, dim=1), SOURCE),
        lambda f: nearest_negative(F.normalize(f, dim=1), SOURCE),
        lambda f: relational(F.normalize(f, dim=1), unit(7), temperature=0.2),
        lambda f: contrastive(
            F.normalize(f, dim=1),
            SOURCE,
            unit(8),
            SOURCE.flip(0),
            positive_margin=0.0,
            negative_margin=1.5,
        ),
        lambda f: NormRatio(form="ratio")(
            LossInputs(f, SOURCE, content=torch.linspace(0.1, 1, 6).double())
        ),
        lambda f: NormRatio(form="log_ratio")(
            LossInputs(f, SOURCE, content=torch.linspace(0.1, 1, 6).double())
        ),
        lambda f: HoldTogether()(
            LossInputs(f, SOURCE, pair_index=PAIRS, pair_directed=torch.tensor([True, False]))
        ),
        lambda f: F.cross_entropy(
            cosface_logits(F.normalize(f, dim=1) @ unit(5).T, SOURCE, scale=8, margin=0.3), SOURCE
        ),
        lambda f: F.cross_entropy(
            arcface_logits(F.normalize(f, dim=1) @ unit(5).T, SOURCE, scale=8, margin=0.3), SOURCE
        ),
        lambda f: (
            copy_nce(
                f.view(1, 6, 4),
                unit(6).view(1, 6, 4),
                torch.rand(1, 6, 6, dtype=torch.float64),
                scale=4,
                gamma=2,
            )
            if torch.manual_seed(0)
            else None
        ),
    ],
)
def test_gradients(loss: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, (features(9).requires_grad_(),))


@pytest.mark.parametrize("kind", [CosFace, ArcFace, SmoothedCrossEntropy])
def test_class_losses_fall_when_trained(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    loss = kind(classes=3, dim=4)
    rows = nn.Parameter(features().float())
    optimizer = torch.optim.Adam([rows, *loss.parameters()], lr=0.05)
    values = []
    for _ in range(150):
        value = loss(LossInputs(rows, SOURCE))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.5 * values[0]


@pytest.mark.parametrize("kind", [QueueNCE, CrossBatchContrastive])
def test_memories_are_part_of_the_state_and_wrap_around(kind: type[nn.Module]) -> None:
    memory = kind(dim=4, size=8)
    for seed in range(3):
        memory(LossInputs(features(seed).float(), SOURCE + 10 * seed))
    assert int(memory.filled) == 18
    keys, sources = memory.held()
    assert len(keys) == 8
    assert sorted(sources.tolist()) == [12, 12, 20, 20, 21, 21, 22, 22], "the last eight rows"
    again = kind(dim=4, size=8)
    again.load_state_dict(memory.state_dict())
    inputs = LossInputs(features(5).float(), SOURCE)
    assert torch.equal(memory.eval()(inputs), again.eval()(inputs))
    assert int(memory.filled) == 18, "evaluation remembers nothing"


@pytest.mark.parametrize(
    "loss",
    [
        InfoNCE(),
        KoLeo(),
        SoftTriplet(),
        NearestNegative(),
        QueueNCE(dim=4, size=8),
        NormRatio(),
        PushApart(),
    ],
)
def test_a_batch_without_pairs_gives_zero_and_a_gradient(loss: nn.Module) -> None:
    rows = features(rows=1).float().requires_grad_()
    empty = torch.zeros(0, 2, dtype=torch.int64)
    value = loss(LossInputs(rows, torch.tensor([0]), content=torch.ones(1), pair_index=empty))
    value.backward()
    assert float(value.detach()) == 0.0
    assert rows.grad is not None


def test_a_weighted_sum_names_its_parts() -> None:
    total = WeightedSum(
        {"a": InfoNCE(), "b": KoLeo(), "c": partial(CosFace)},
        {"a": 2.0, "b": 0.5, "c": 0.0},
        classes=3,
        dim=4,
    )
    inputs = LossInputs(features().float(), SOURCE)
    value, parts = total(inputs)
    assert set(parts) == {"a", "b"}, "a part of weight 0 is not built"
    assert float(value) == pytest.approx(2 * float(parts["a"]) + 0.5 * float(parts["b"]))
    with pytest.raises(UsageError, match="d is in one only"):
        WeightedSum({"a": InfoNCE()}, {"a": 1.0, "d": 1.0})


def test_what_is_missing_is_named_with_its_remedy() -> None:
    with pytest.raises(AslError, match="set teacher=MODEL"):
        RelationalDistillation()(LossInputs(features(), SOURCE))
    with pytest.raises(AslError, match="expected 6 rows"):
        LossInputs(features(), SOURCE[:3])


def test_ordered_pairs_stay_inside_one_original() -> None:
    pairs = ordered_pairs(torch.tensor([1.0, 0.5, 0.9, 0.2]), torch.tensor([0, 0, 1, 1]))
    assert pairs.tolist() == [[0, 1], [2, 3]]
