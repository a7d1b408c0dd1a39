"""Fine-tuning on cached views: the whitening, the folded neck, batches, and a whole small run."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from asl.models import load_embedder
from asl.models.shipped import shipped_model
from asl.storage import write_json
from asl.types import AslError
from tests.matching.conftest import textured

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
stages = pytest.importorskip("train_upper_stages", reason="scripts/ is not beside the tests")
import cached_views  # noqa: E402
import pair_whitening  # noqa: E402
import train_norm_head  # noqa: E402


def test_whitening_removes_what_differs_between_views_of_one_photograph() -> None:
    """Views of a photograph differ in three directions, in which photographs differ less."""
    rng = np.random.default_rng(0)
    content = np.repeat(rng.normal(size=(200, 64)), 4, axis=0)
    edits = rng.normal(size=(800, 3)) @ rng.normal(size=(3, 64))
    features = (content + edits + 5).astype(np.float32)
    source = np.repeat(np.arange(200), 4)
    weight, bias = pair_whitening.pair_whitening(features, source, 32)
    assert weight.shape == (32, 64)

    def first_is_right(values: np.ndarray) -> float:
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        cosine = unit @ unit.T
        np.fill_diagonal(cosine, -1)
        return float((source[cosine.argmax(axis=1)] == source).mean())

    assert first_is_right(features - features.mean(axis=0)) < 0.5
    assert first_is_right(features @ weight.T + bias) > 0.9


def test_a_folded_neck_embeds_as_both_layers_do() -> None:
    neck = pair_whitening.WhitenedNeck(6, 3)
    with torch.no_grad():
        neck.turn.weight.copy_(torch.tensor([[0.0, 2, 1], [1, 0, 0], [0.5, 1, -1]]))
    pooled = torch.rand(5, 6)
    assert torch.allclose(neck.folded()(pooled), neck(pooled), atol=1e-6)


def test_a_batch_has_look_alikes_side_by_side_and_no_held_out_photographs() -> None:
    nearest = np.array([[(row + step) % 40 for step in range(1, 11)] for row in range(40)])
    alike = stages.LookAlikes(nearest, np.arange(40))
    pool = np.arange(1, 40, 2)
    rows = stages.draw_rows(np.random.default_rng(0), pool, alike, 12)
    assert len(set(rows)) == len(rows) == 12
    assert set(rows) <= set(pool.tolist())
    assert set(rows[1:4]) <= set(nearest[rows[0]].tolist())
    source, views = stages.draw_views(np.random.default_rng(0), rows, 8, 4)
    assert source.tolist() == np.repeat(rows, 4).tolist()
    assert (views.reshape(-1, 4)[:, 0] == 0).all()
    assert all(len(set(part)) == 4 for part in views.reshape(-1, 4).tolist())


def test_a_cache_of_another_model_or_of_other_options_is_refused(tmp_path: Path) -> None:
    facts = {"model": "m", "size": 160, "photographs": 24}
    write_json(tmp_path / "facts.json", facts)
    np.save(tmp_path / "maps.npy", np.zeros((24, 1), np.float16))
    assert len(cached_views.CachedViews.open(tmp_path, facts).maps) == 24
    for name, value in (("model", "n"), ("size", 224), ("photographs", 25)):
        with pytest.raises(AslError, match=f"was made with {name} .*, not {value}; remove it"):
            cached_views.CachedViews.open(tmp_path, {**facts, name: value})


def test_every_option_of_the_views_is_among_the_facts_of_a_cache(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((8, 8, 3), np.uint8))
    photos = cached_views.Photos.open([tmp_path])
    options = cached_views.ViewOptions("asl_lite0", "strong", views=2, size=32, seed=1, stages=3)
    facts = options.facts(photos)
    others = {"model": "asl_lite1", "edits": "broad", "views": 3, "size": 64, "seed": 2}
    others["stages"] = 2
    assert set(others) == {part.name for part in fields(options)}
    for name, value in others.items():
        assert replace(options, **{name: value}).facts(photos) != facts, name


def test_a_checkpoint_of_other_options_is_refused(tmp_path: Path) -> None:
    class Network(torch.nn.Linear):
        def trained(self) -> list[torch.nn.Parameter]:
            return list(self.parameters())

    def training(**changed: float) -> object:
        values = dict.fromkeys(stages.RESUMED, 1) | {"lr": 0.1, "steps": 8, "temperature": 0.1}
        options = SimpleNamespace(**values | changed)
        return stages.Training(Network(2, 2), Network(2, 2), options)

    torch.save(training().state(), tmp_path / "saved")  # type: ignore[attr-defined]
    training().restore(tmp_path / "saved")  # type: ignore[attr-defined]
    with pytest.raises(AslError, match=r"saved: was made with lr 0.1, not 0.2"):
        training(lr=0.2).restore(tmp_path / "saved")  # type: ignore[attr-defined]


def test_too_few_photographs_for_a_batch_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch could never be filled."""
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
    arguments = [str(tmp_path), "--cache", str(tmp_path / "c"), "--output", str(tmp_path / "m")]
    monkeypatch.setattr(sys, "argv", ["script", *arguments])
    assert stages.main() == 1
    assert "needs 40 photographs to draw from, 10 are there" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_a_small_training_keeps_the_first_stages_and_gets_a_norm_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(24):
        cv2.imwrite(str(photos / f"{number}.png"), textured(number)[..., ::-1])
    base = [
        str(photos),
        "--cache",
        str(tmp_path / "cache"),
        "--output",
        str(tmp_path / "m.safetensors"),
    ]
    small = ["--views", "4", "--size", "64", "--dim", "16", "--sources", "8", "--workers", "1"]

    def run(module: object, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["script", *arguments])
        assert module.main() == 0  # type: ignore[attr-defined]

    run(stages, *base, *small, "--steps", "2")
    cache = cached_views.CachedViews.open(tmp_path / "cache", {"views": 4, "size": 64})
    assert cache.maps.shape == (24, 4, 8, 8, 40)
    assert (cache.maps[:, 0] != cache.maps[:, 1]).any(axis=(1, 2, 3)).all()
    model = load_embedder(tmp_path / "m.safetensors")
    assert (model.dim, model.recipe.neck) == (16, "sqrt_linear")
    again = tmp_path / "again.safetensors"
    run(
        stages,
        *(str(photos), "--cache", str(tmp_path / "other"), "--output", str(again)),
        *("--start", str(tmp_path / "m.safetensors"), "--edits", "broad", *small, "--steps", "0"),
    )
    conv_head = load_embedder(again).backbone.conv_head.weight
    assert torch.equal(conv_head, model.backbone.conv_head.weight), "goes on from the model named"
    first = load_embedder("asl_lite0").backbone.blocks[0][0].conv_pw.weight
    assert torch.equal(model.backbone.blocks[0][0].conv_pw.weight, first)
    normed = tmp_path / "n.safetensors"
    monkeypatch.setattr(train_norm_head, "STEPS", 3)
    monkeypatch.setattr(train_norm_head, "BATCH", 4)
    extra = ["--features", str(tmp_path / "f.npz"), "--output", str(normed), "--limit", "10"]
    run(train_norm_head, str(tmp_path / "m.safetensors"), str(photos), *extra, "--workers", "1")
    other = ["script", str(shipped_model()), str(photos), *extra]
    monkeypatch.setattr(sys, "argv", other)
    assert train_norm_head.main() == 1, "features of another model"
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with_norm = load_embedder(normed)(images)
    assert torch.allclose(
        torch.nn.functional.normalize(with_norm),
        torch.nn.functional.normalize(model(images)),
        atol=1e-5,
    )
    assert load_embedder(normed).recipe.norm_stages == 1
    assert (with_norm.norm(dim=1) - model(images).norm(dim=1)).abs().min() > 1e-3


def test_the_larger_norm_belongs_to_the_view_that_holds_more() -> None:
    content = torch.rand(3, 4, train_norm_head.VIEWS)
    pooled = train_norm_head.Pooled(content[0][..., None], content)

    class FirstFeature:
        sign = 1.0

        def log_norm(self, features: torch.Tensor) -> torch.Tensor:
            return self.sign * features

    neck = FirstFeature()
    assert train_norm_head.in_order(neck, pooled, torch.arange(4), 0) == 1.0  # type: ignore[arg-type]
    neck.sign = -1.0
    assert train_norm_head.in_order(neck, pooled, torch.arange(4), 0) == 0.0  # type: ignore[arg-type]
