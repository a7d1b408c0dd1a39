"""A model's constants and calibration, benchmark inputs by role, score modes and protocols."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.data.layouts import open_benchmark
from asl.data.scenes import render_scene
from asl.models import Embedder, build_embedder, model_hash, save_embedder
from asl.models.scores import base_score, find_calibrations
from asl.pipeline.benchmark_run import model_modes, score_modes
from asl.pipeline.candidates import find_candidates
from asl.pipeline.features import embed_benchmark, join_features
from asl.pipeline.inputs import SearchInput
from asl.scoring.calibration import Calibration, Threshold
from asl.scoring.score import Score
from asl.types import Embeddings, ReferenceEmbeddings


@pytest.fixture
def embedder() -> Embedder:
    return build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval()


@pytest.fixture
def saved(embedder: Embedder, tmp_path: Path) -> Path:
    rows = (Threshold(0.9, 0.7, 0.4, 0.1),)
    hinge = Calibration(Score("hinge", lam=0.05, tau=0.3), 10.0, -5.0, rows)
    soft = Calibration(Score("soft", lam=0.05, clip=(-1.0, 0.5)), 10.0, -5.0, ())
    card = {
        "calibration": {
            "model": model_hash(embedder),
            "hinge": hinge.to_card(),
            "soft": soft.to_card(),
        }
    }
    save_embedder(embedder, tmp_path / "model.safetensors", card=card)
    return tmp_path


def test_a_model_brings_its_constants(saved: Path, embedder: Embedder) -> None:
    weights = model_hash(embedder)
    assert find_calibrations(saved, weights)["hinge"].threshold(0.8).threshold == 0.7
    for path in (saved, saved / "model.safetensors"):
        assert base_score(path, weights) == Score("hinge", 0.05, 0.3, (-1.0, 0.5))
    assert base_score(saved, weights, lam=0.2, tau=0.0) == Score("hinge", 0.2, 0.0, (-1.0, 0.5)), (
        "a user's word counts"
    )


def test_features_of_another_model_are_not_read_with_them(saved: Path) -> None:
    assert find_calibrations(saved, "0123456789abcdef") == {}
    assert base_score(saved, "0123456789abcdef") == Score("hinge")


def test_a_model_without_calibration_takes_the_usual_constants(
    embedder: Embedder, tmp_path: Path
) -> None:
    save_embedder(embedder, tmp_path / "m.safetensors", card={})
    assert base_score(tmp_path / "m.safetensors", model_hash(embedder)) == Score("hinge")
    assert base_score("lite0", "x", lam=0.3) == Score("hinge", 0.3)


def test_each_score_takes_its_own_calibration(tmp_path: Path, embedder: Embedder) -> None:
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


def test_regions_reach_their_own_side_and_queries_regions_only_candidates(
    tmp_path: Path, embedder: Embedder
) -> None:
    for role, count in (("queries", 3), ("references", 5)):
        (tmp_path / role).mkdir()
        for number in range(count):
            scene = render_scene(number + 10 * count, height=64, width=80)
            cv2.imwrite(str(tmp_path / role / f"{role[0]}{number}.png"), scene[..., ::-1])
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nq0,r0\nq1,\nq2,\n")
    benchmark = open_benchmark(tmp_path)
    whole = embed_benchmark(benchmark, embedder, tmp_path / "out")
    both = embed_benchmark(
        benchmark, embedder, tmp_path / "out", regions="coarse", query_regions="coarse"
    )
    assert [len(part) for part in both.reference_regions] == [5] * 6
    assert [len(part) for part in both.query_regions] == [3] * 5
    score = Score("cosine")

    def best(query: list[Embeddings], reference: list[Embeddings]) -> np.ndarray:
        found = np.max([q.vectors @ r.vectors.T for q in query for r in reference], axis=0)
        return -np.sort(-found, axis=1)

    pairs = score_modes(both, {"cosine": score})["cosine"].scores.reshape(3, 5)
    np.testing.assert_allclose(
        pairs, best([whole.queries], [whole.references, *both.reference_regions]), atol=1e-5
    )
    of_references = np.max(
        [whole.queries.vectors @ r.vectors.T for r in [whole.references, *both.reference_regions]],
        0,
    )
    of_queries = np.max([q.vectors @ whole.references.vectors.T for q in both.query_regions], 0)
    expected = -np.sort(-np.maximum(of_references, of_queries), axis=1)
    np.testing.assert_allclose(
        find_candidates(both, score).scores.reshape(3, 5), expected, atol=1e-5
    )
    assert not np.allclose(expected, pairs), "the queries' regions count for candidates"


def test_members_of_an_ensemble_are_joined_role_by_role() -> None:
    """Queries, references, background and regions keep their roles: a swap changes a product."""

    def member(seed: int) -> SearchInput:
        rng = np.random.default_rng(seed)
        roles = [
            Embeddings.from_features([f"{r}{n}" for n in range(4)], rng.normal(size=(4, 6)))
            for r in "qrbpw"
        ]
        query, reference, background, part, of_query = roles
        sides = query.as_queries(), reference.as_references(), background.as_background()
        return SearchInput(
            *sides,
            query_regions=[of_query],
            reference_regions=[type(part)(reference.ids, part.vectors, part.log_norms)],
        )

    members = [member(0), member(1)]
    joined = join_features(members)
    for left, right in (("queries", "references"), ("queries", "background")):
        expected = np.mean(
            [getattr(one, left).vectors @ getattr(one, right).vectors.T for one in members], axis=0
        )
        found = getattr(joined, left).vectors @ getattr(joined, right).vectors.T
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for side in ("reference_regions", "query_regions"):
        (found,) = getattr(joined, side)
        np.testing.assert_allclose(
            found.vectors[:, :6], getattr(members[0], side)[0].vectors / np.sqrt(2), atol=1e-6
        )
    gain = joined.references.log_norms - joined.queries.log_norms
    expected = np.mean(
        [one.references.log_norms - one.queries.log_norms for one in members], axis=0
    )
    np.testing.assert_allclose(gain, expected, atol=1e-6)
    assert join_features(members[:1]) is members[0]
