"""The norm-ratio loss: published values, pairs by a plain loop, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from asl.losses import LossInputs
from asl.losses.norm_ratio import (
    NormRatio,
    draw_published_pairs,
    norm_log_ratio,
    norm_margin,
    norm_ratio,
    ordered_pairs,
)
from asl.types import UsageError
from tests.losses.small_batch import (
    SOURCE,
    check_gradient,
    check_zero_without_pairs,
    features,
)


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


def test_ordered_pairs_stay_inside_one_original() -> None:
    pairs = ordered_pairs(torch.tensor([1.0, 0.5, 0.9, 0.2]), torch.tensor([0, 0, 1, 1]))
    assert pairs.tolist() == [[0, 1], [2, 3]]


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^form: expected ratio, log_ratio or margin, got 'square'"
    ):
        NormRatio(form="square")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "loss",
    [
        lambda f: NormRatio(form="ratio")(
            LossInputs(f, SOURCE, content=torch.linspace(0.1, 1, 6).double())
        ),
        lambda f: NormRatio(form="log_ratio")(
            LossInputs(f, SOURCE, content=torch.linspace(0.1, 1, 6).double())
        ),
    ],
)
def test_gradients(loss: Callable[[Tensor], Tensor]) -> None:
    check_gradient(loss)


@pytest.mark.parametrize("loss", [NormRatio()])
def test_a_batch_without_pairs_gives_zero_and_a_gradient(loss: nn.Module) -> None:
    check_zero_without_pairs(loss)
