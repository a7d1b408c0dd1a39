"""Score modes of a benchmark: constants, score normalisation, the length of the lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.models import build_embedder, model_hash, save_embedder
from asl.pipeline.benchmark_run import (
    Protocol,
    every_mode,
    model_modes,
    score_modes,
    soft_range,
    with_normalization,
)
from asl.pipeline.inputs import SearchInput
from asl.scoring.calibration import Calibration
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.score import MODES, Score, pair_scores
from asl.types import (
    BackgroundEmbeddings,
    QueryEmbeddings,
    ReferenceEmbeddings,
    UsageError,
)


def test_each_score_takes_its_own_calibration(tmp_path: Path) -> None:
    embedder = build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval()
    weights = model_hash(embedder)
    own = {
        "hinge": Calibration(Score("hinge", lam=0.05, tau=0.3), 10.0, -5.0, ()).to_card(),
        "soft": Calibration(Score("soft", lam=0.01, clip=(-1.0, 0.5)), 10.0, -5.0, ()).to_card(),
    }
    save_embedder(
        embedder, tmp_path / "model.safetensors", card={"calibration": {"model": weights, **own}}
    )
    references = ReferenceEmbeddings.from_features(["a", "b"], [[1.0, 0.0], [0.0, 2.0]])
    features = SearchInput(references.as_queries(), references)
    scores = model_modes(features, tmp_path, weights)
    assert (scores["hinge"].lam, scores["soft"].lam, scores["soft"].clip) == (
        0.05,
        0.01,
        (-1.0, 0.5),
    )
    given = model_modes(features, tmp_path, weights, lam=0.2)
    assert (given["hinge"].lam, given["soft"].lam) == (0.2, 0.2), "a user's word counts"


@pytest.fixture
def inputs() -> SearchInput:
    rng = np.random.default_rng(0)

    def features(count: int) -> np.ndarray:
        return rng.normal(size=(count, 8)) * rng.uniform(0.5, 2, (count, 1))

    return SearchInput(
        QueryEmbeddings.from_features([f"q{n}" for n in range(6)], features(6)),
        ReferenceEmbeddings.from_features([f"r{n:02}" for n in range(20)], features(20)),
        BackgroundEmbeddings.from_features([f"t{n}" for n in range(9)], features(9)),
    )


def test_every_mode_gets_score_normalisation(inputs: SearchInput) -> None:
    rule = ScoreNormalization(2.0, 0, 4)
    scores = with_normalization(every_mode(inputs, Score(lam=0.3)), rule)
    assert list(scores) == [*MODES, *(f"{mode}+SN" for mode in MODES)]
    assert scores["paper+SN"] == Score("paper", 0.3, normalization=rule)
    assert with_normalization({"cosine": Score("cosine")}, None) == {"cosine": Score("cosine")}


def every_pair(inputs: SearchInput, score: Score) -> dict[tuple[int, int], float]:
    query, reference = (axis.ravel() for axis in np.indices((6, 20)))
    values = pair_scores(
        inputs.queries,
        inputs.references,
        score=score,
        query_index=query,
        reference_index=reference,
        background=inputs.background,
    )
    pairs = zip(query.tolist(), reference.tolist(), strict=True)
    return dict(zip(pairs, values.tolist(), strict=True))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", [None, ScoreNormalization(1.5, 0, 2)])
def test_most_takes_the_best_pairs_over_all_queries(
    inputs: SearchInput, mode: str, rule: ScoreNormalization | None
) -> None:
    """`paper` deletes from the capped list of the cosine; other modes are capped by themselves."""
    score = Score(mode, 0.3, clip=(-0.5, 0.5) if mode == "soft" else None, normalization=rule)  # type: ignore[arg-type]
    ranked_by = Score("cosine", normalization=rule) if mode == "paper" else score
    ranked = sorted(every_pair(inputs, ranked_by).items(), key=lambda item: -item[1])[:25]
    admitted = every_pair(inputs, score)
    expected = {pair: value for pair, value in ranked if np.isfinite(admitted[pair])}
    pairs = score_modes(inputs, {"x": score}, protocol=Protocol(most=25), engine="exact")["x"]
    rows = zip(pairs.query_index.tolist(), pairs.reference_index.tolist(), strict=True)
    result = dict(zip(rows, pairs.scores.tolist(), strict=True))
    assert result.keys() == expected.keys()
    assert [result[pair] for pair in expected] == pytest.approx(list(expected.values()), abs=1e-5)
    if mode == "paper":
        assert 0 < len(result) < 25


def test_the_protocol_is_k_per_query_unless_most_is_given(inputs: SearchInput) -> None:
    pairs = score_modes(inputs, {"x": Score("cosine")}, protocol=Protocol(k=3), engine="exact")["x"]
    assert np.bincount(pairs.query_index).tolist() == [3] * 6
    for wrong in ({"k": 0}, {"most": 0}):
        with pytest.raises(UsageError, match="must be 1 or more, got 0"):
            Protocol(**wrong)


def test_the_range_of_soft_is_taken_from_a_sample(
    inputs: SearchInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert inputs.background is not None
    low, high = np.quantile(inputs.background.log_norms, [0.01, 0.99])
    assert soft_range(inputs) == pytest.approx((low, high))
    alone = SearchInput(inputs.queries, inputs.references)
    low, high = np.quantile(inputs.references.log_norms, [0.01, 0.99])
    assert soft_range(alone) == pytest.approx((low, high))
    monkeypatch.setattr("asl.pipeline.benchmark_run._RANGE_SAMPLE", 2)
    ends = inputs.references.log_norms[[0, -1]]
    assert soft_range(alone) == pytest.approx(tuple(np.quantile(ends, [0.01, 0.99])))
