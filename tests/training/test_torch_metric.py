"""The evaluator as a torchmetrics metric: equal to ours over batches and over processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asl.metrics.evaluation import evaluate
from asl.training.torch_metric import VALUES, CopyDetectionMetric
from asl.types import AslError, ScoredPairs, TruthPairs
from tests.two_ranks import run_two

QUERIES = [f"Q{number}" for number in range(40)]
REFERENCES = [f"R{number}" for number in range(30)]
TRUTH = TruthPairs.from_pairs(
    [(f"Q{number}", f"R{number}") for number in range(25)], other_queries=QUERIES[25:]
)


def metric() -> CopyDetectionMetric:
    return CopyDetectionMetric(TRUTH, queries=QUERIES, references=REFERENCES)


def scored() -> tuple[Tensor, Tensor, Tensor]:
    """Ten references of every query, with a third of the true pairs missing or low; ties too."""
    generator = torch.Generator().manual_seed(0)
    queries = torch.arange(40).repeat_interleave(10)
    references = torch.stack([torch.randperm(30, generator=generator)[:10] for _ in range(40)])
    references = references.flatten()
    noise = torch.rand(400, generator=generator)
    return queries, references, ((queries == references) * 0.6 + noise).mul(20).round() / 20


def ours() -> dict[str, float]:
    queries, references, scores = (part.numpy() for part in scored())
    ids = ([QUERIES[q] for q in queries], [REFERENCES[r] for r in references])
    result = evaluate(ScoredPairs.from_ids(*ids, scores), TRUTH)
    return {name: float(getattr(result, name)) for name in VALUES}


def test_batches_are_one_ranking() -> None:
    made = metric()
    for part in zip(*(values.split(70) for values in scored()), strict=True):
        made.update(*part)
    found = {name: float(value) for name, value in made.compute().items()}
    assert found == pytest.approx(ours(), rel=1e-6)
    assert 0.1 < found["uap"] < 0.9
    made.reset()
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert float(made.compute()["uap"]) == 0.0


def test_the_same_pair_counts_once_and_two_scores_of_it_are_refused() -> None:
    made = metric()
    made.update(*scored())
    made.update(*(values[:50] for values in scored()))
    assert float(made.compute()["uap"]) == pytest.approx(ours()["uap"], rel=1e-6)
    queries, references, scores = (values[:1] for values in scored())
    made.update(queries, references, scores + 1)
    with pytest.raises(AslError, match="predicted more than once"):
        made.compute()


def test_indices_and_shapes_are_checked() -> None:
    one = torch.tensor([0])
    with pytest.raises(AslError, match=r"references must be indices in 0\.\.29, got 30\.\.30"):
        metric().update(one, torch.tensor([30]), torch.ones(1))
    with pytest.raises(AslError, match="expected three vectors of one length"):
        metric().update(one, one, torch.ones(2))


@pytest.mark.slow
def test_two_processes_compute_what_one_does() -> None:
    output = run_two(Path(__file__).with_name("metric_ranks.py"))
    joined, one_has_none = json.loads(output.splitlines()[-1])
    assert joined == pytest.approx(ours(), rel=1e-6)
    assert one_has_none == pytest.approx(ours(), rel=1e-6)
