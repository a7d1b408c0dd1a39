"""The plan of a search: resolved once, complete, and made before anything is embedded."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from asl.console.schemas.search_config import SearchConfig
from asl.data.scenes import render_scene
from asl.features.feature_store import FeatureStore
from asl.model_names import packaged_hashes
from asl.models import build_embedder, load_embedder, model_hash, save_embedder
from asl.pipeline.search_plan import SearchPlan, plan_search
from asl.scoring.calibration import Calibration, Threshold
from asl.scoring.score import Score
from asl.shared_defaults import MODEL, MODELS
from asl.types import AslError, UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated model, its stores of queries and references, a folder of training images."""
    folder = tmp_path_factory.mktemp("plan")
    torch.manual_seed(0)
    embedder = build_embedder(backbone="mobilenetv3_small_050", size=32, dim=8).eval()
    weights = model_hash(embedder)
    rows = (Threshold(0.9, 0.7, 0.4, None),)
    hinge = Calibration(Score("hinge", lam=0.05, tau=0.3), 10.0, -5.0, rows)
    card = {"calibration": {"model": weights, "hinge": hinge.to_card()}}
    save_embedder(embedder, folder / "m.safetensors", card=card)
    rng = np.random.default_rng(0)
    for role, model in (("queries", weights), ("references", weights), ("other", "feed")):
        store = FeatureStore.create(folder / role, model=model, dim=8, preprocessing={})
        store.add([f"{role[0]}{n}" for n in range(5)], rng.normal(size=(5, 8)), [])
    (folder / "train").mkdir()
    for number in range(4):
        scene = render_scene(number, height=48, width=64)
        cv2.imwrite(str(folder / "train" / f"t{number}.png"), scene[..., ::-1])
    return folder


def plan(files: Path, **keys: Any) -> SearchPlan:
    settings = {
        "queries": str(files / "queries"),
        "references": str(files / "references"),
        "model": str(files / "m.safetensors"),
        "output": str(files / "pairs.csv"),
        **keys,
    }
    return plan_search(SearchConfig(**settings))


def test_constants_come_from_the_model_unless_given(files: Path) -> None:
    made = plan(files, precision=0.9)
    assert (made.kind, made.score) == ("hinge", Score("hinge", 0.05, 0.3))
    assert made.calibration is not None
    assert made.least == 0.7
    assert made.inputs.model == model_hash(load_embedder(files / "m.safetensors"))
    given = plan(files, lam=0.2)
    assert given.score == Score("hinge", 0.2, 0.3)
    assert given.calibration is None, "it was calibrated with another lam"
    with pytest.raises(FrozenInstanceError):
        made.least = 0.0  # type: ignore[misc]


def test_verified_plans_candidates_and_thresholds(files: Path) -> None:
    images = {"query_images": str(files / "train"), "reference_images": str(files / "train")}
    made = plan(files, score="verified", above=0.97, local_candidates=1, pairs=5, **images)
    assert (made.kind, made.score.mode, made.least) == ("verified", "hinge", 0.97)
    assert made.verification is not None
    assert (made.verification.local_candidates, made.verification.budget.pairs) == (1, 5)
    assert made.calibration is None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"score": "cosine", "lam": 0.1}, "^lam: has no effect with score cosine, got lam=0.1"),
        ({"score": "strict", "lam": 0.1}, "^lam: has no effect with score strict"),
        ({"score": "soft", "tau": 0.1}, "^tau: has no effect with score soft"),
        ({"clip": [0.0, 1.0]}, "^clip: has no effect with score hinge"),
        ({"sn_weight": 2.0}, "^sn_weight: has no effect with normalize=none"),
        ({"sn_last": 9}, "^sn_last: has no effect with normalize=none"),
        (
            {"normalize": "minmax"},
            "^normalize: expected one of none, subtract,.* got 'minmax'",
        ),
        ({"id_style": "paths"}, "^id_style: expected one of path, stem, got 'paths'"),
        ({"normalize": "subtract"}, "^background: needed for normalize"),
        ({"negatives": 0.35}, "^background: needed for negatives"),
        ({"background": "{files}/train"}, "^background: has no effect without normalize="),
        ({"local_candidates": 1}, "^local_candidates: has no effect with score=hinge"),
        ({"candidate_score": "cosine"}, "^candidate_score: has no effect with score=hinge"),
        ({"pairs": 3}, "^pairs: has no effect with score=hinge"),
        ({"query_images": "x"}, "^query_images: has no effect with score=hinge"),
        ({"nprobe": 4}, "^nprobe: has no effect in an exact search"),
        ({"recall_queries": 4}, "^recall_queries: has no effect in an exact search"),
        ({"factory": "Flat", "engine": "exact"}, "^engine: has no effect with factory="),
        ({"lam": -1.0}, "lam must be 0 or more"),
        ({"batch_size": 0}, "^batch_size: must be 1 or more, got 0"),
        ({"workers": -1}, "^workers: must be 0 or more, got -1"),
        (
            {"background": "{files}/references", "normalize": "subtract"},
            "^background: .*references is given as references, too",
        ),
        (
            {"background": "{files}/train", "whiten": 4},
            "^whiten: must be at most 3 with 4 background images of 8 dimensions, got 4",
        ),
        (
            {"background": "{files}/train", "normalize": "subtract", "sn_last": 4},
            "^sn_last: rank 4 needs 5 background images, got 4",
        ),
        (
            {"background": "{files}/train", "normalize": "subtract", "precision": 0.9},
            "^precision: model=.* has no calibration of hinge with these settings",
        ),
        ({"score": "verified"}, "query_images= and reference_images="),
        ({"above": 5.0}, "^above: a score of hinge is at most 1, so above=5 keeps no pair; give"),
        (
            {"score": "soft", "above": 1.3, "lam": 0.1, "clip": [0.0, 2.0]},
            "^above: a score of soft is at most 1.2, so above=1.3 keeps no pair",
        ),
        (
            {"score": "verified", "above": 1.5, "query_images": "{files}/train"}
            | {"reference_images": "{files}/train"},
            "^above: a probability is at most 1, so above=1.5 keeps no pair",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_embedded(
    files: Path, keys: dict[str, Any], said: str
) -> None:
    given = {
        key: value.format(files=files) if isinstance(value, str) else value
        for key, value in keys.items()
    }
    with pytest.raises(UsageError, match=said) as caught:
        plan(files, **given)
    assert "\n" not in str(caught.value)
    assert not (files / "pairs.csv.features").exists()


def test_features_of_different_models_are_refused_before_anything_is_embedded(files: Path) -> None:
    for keys in ({"references": str(files / "other")}, {"queries": str(files / "other")}):
        with pytest.raises(AslError, match="features of different models"):
            plan(files, **keys)
    with pytest.raises(AslError, match=r"queries: .*, references: .*\(feed\)\); give the file of"):
        plan(files, queries=str(files / "train"), references=str(files / "other"))
    assert not (files / "pairs.csv.features").exists()


def test_a_store_of_an_earlier_default_says_which_model_goes_on_with_it(
    files: Path, tmp_path: Path
) -> None:
    old = next(name for name in MODELS if name != MODEL)
    for name in MODELS:
        FeatureStore.create(
            tmp_path / name, model=packaged_hashes()[name], dim=8, preprocessing={}
        ).add(["a"], np.ones((1, 8)), [])
    keys = {"queries": str(files / "train"), "references": str(tmp_path / old)}
    said = rf"\(queries: {MODEL}, references: {old}\); give model={old}, or extract all of them"
    with pytest.raises(AslError, match=said):
        plan(files, **keys, model=MODEL)
    assert plan(files, **keys, model=old).inputs.model == packaged_hashes()[old]
    said = rf"\(queries: {MODEL}, references: {old}\); extract all of them with one model="
    with pytest.raises(AslError, match=said):
        plan(files, **{**keys, "queries": str(tmp_path / MODEL)}, model=MODEL)
