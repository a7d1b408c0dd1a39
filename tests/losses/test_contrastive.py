"""Losses between the rows of a batch: plain loops over their equations, gradients, groups."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.losses import LossInputs
from asl.losses.contrastive import (
    InfoNCE,
    KoLeo,
    SoftTriplet,
    contrastive,
    info_nce,
    koleo,
    soft_triplet,
)
from tests.losses.small_batch import (
    SOURCE,
    check_gradient,
    check_group_does_not_repel,
    check_zero_without_pairs,
    features,
    unit,
)


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


def test_a_learned_temperature_starts_at_the_given_one() -> None:
    inputs = LossInputs(features(), SOURCE)
    learned = InfoNCE(temperature=0.1, learned=True)
    value = learned(inputs)
    assert float(value.detach()) == pytest.approx(float(InfoNCE(temperature=0.1)(inputs)), rel=1e-5)
    value.backward()
    assert learned.log_scale is not None
    assert float(learned.log_scale.grad.abs()) > 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "loss",
    [
        lambda f: info_nce(F.normalize(f, dim=1), SOURCE, temperature=0.3),
        lambda f: soft_triplet(f, SOURCE),
        lambda f: koleo(F.normalize(f, dim=1), SOURCE),
        lambda f: contrastive(
            F.normalize(f, dim=1),
            SOURCE,
            unit(8),
            SOURCE.flip(0),
            positive_margin=0.0,
            negative_margin=1.5,
        ),
    ],
)
def test_gradients(loss: Callable[[Tensor], Tensor]) -> None:
    check_gradient(loss)


@pytest.mark.parametrize("loss", [InfoNCE(), KoLeo(), SoftTriplet()])
def test_a_batch_without_pairs_gives_zero_and_a_gradient(loss: nn.Module) -> None:
    check_zero_without_pairs(loss)


@pytest.mark.parametrize(
    "loss",
    [InfoNCE(), InfoNCE(suspect_above=0.9), KoLeo(), SoftTriplet()],
    ids=lambda loss: type(loss).__name__,
)
def test_two_originals_of_one_group_do_not_repel(loss: nn.Module) -> None:
    check_group_does_not_repel(loss)
