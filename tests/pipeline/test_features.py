"""Inputs of a benchmark: regions and models join by role, a background only where it is used."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.data.catalog import open_catalog
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.scenes import render_scene
from asl.models import Embedder, build_embedder, model_hash
from asl.pipeline.benchmark_run import score_modes
from asl.pipeline.candidates import find_candidates
from asl.pipeline.features import embed_benchmark, join_features, postprocess, thin_background
from asl.pipeline.inputs import SearchInput
from asl.scoring.score import Score
from asl.types import Embeddings, UsageError


@pytest.fixture
def embedder() -> Embedder:
    return build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval()


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
        find_candidates(both, score, k=10).scores.reshape(3, 5), expected, atol=1e-5
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


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    for role, count in (("queries", 2), ("references", 3), ("train", 5)):
        (tmp_path / "bench" / role).mkdir(parents=True)
        for number in range(count):
            scene = render_scene(number + 10 * count, height=48, width=64)
            path = tmp_path / "bench" / role / f"{role[0]}{number}.png"
            cv2.imwrite(str(path), scene[..., ::-1])
    (tmp_path / "bench" / "truth.csv").write_text("query_id,reference_id\nq0,r0\nq1,\n")
    return open_benchmark(tmp_path / "bench")


def test_training_images_are_embedded_only_where_they_are_used(
    benchmark: Benchmark, tmp_path: Path, embedder: Embedder
) -> None:
    inputs = embed_benchmark(benchmark, embedder, tmp_path / "out")
    assert inputs.background is None
    assert not (tmp_path / "out" / "background").exists()
    assert inputs.model == model_hash(embedder)
    inputs = embed_benchmark(benchmark, embedder, tmp_path / "out", background=True)
    assert inputs.background is not None
    assert len(inputs.background) == 5
    with pytest.raises(UsageError, match="fitted on training images"):
        postprocess(embed_benchmark(benchmark, embedder, tmp_path / "out"), whiten=2)


def test_a_background_is_bounded_and_its_size_printed(
    benchmark: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.train is not None
    thin = thin_background(benchmark.train, 3)
    assert thin.ids.tolist() == ["t0", "t2", "t4"]
    assert "3 of 5 training images are embedded" in capsys.readouterr().out
    for count in (0, 5, 9):
        assert thin_background(benchmark.train, count).ids.tolist() == benchmark.train.ids.tolist()
        assert "all 5 training images" in capsys.readouterr().out


def test_a_background_is_thinned_evenly(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"t{number}.jpg").touch()
    catalog = open_catalog(tmp_path, id_style="stem")
    assert thin_background(catalog, 3).ids.tolist() == ["t0", "t4", "t8"]
    assert len(thin_background(catalog, 0)) == len(thin_background(catalog, 50)) == 9
