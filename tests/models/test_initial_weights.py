"""Initial weights: random, of a package, or of a saved embedder of the same architecture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from asl.models import build_embedder, save_embedder
from asl.types import AslError, UsageError
from tests.models.small_model import TINY, images


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pretrained": "imagenet"}, "pretrained"),
        ({"pretrained": "package"}, "package has no weights of"),
    ],
)
def test_pretrained_weights_that_do_not_exist_are_refused(
    wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(AslError, match=message):
        build_embedder(**{**TINY, **wrong})  # type: ignore[arg-type]


def test_a_saved_embedder_is_a_start_with_its_own_pixels(tmp_path: Path) -> None:
    saved = build_embedder(**TINY, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)).eval()
    save_embedder(saved, tmp_path / "model.safetensors", card={})
    started = build_embedder(**TINY, weights=str(tmp_path)).eval()
    assert started.preprocessing.mean == (0.1, 0.2, 0.3)
    assert torch.equal(started(images()), saved(images()))
    headed = build_embedder(**TINY, weights=str(tmp_path), norm_head=True).eval()
    torch.testing.assert_close(
        F.normalize(headed(images())), F.normalize(saved(images())), rtol=0, atol=1e-6
    )
    with pytest.raises(UsageError, match=r"model\.weights: .* is of another architecture"):
        build_embedder(**{**TINY, "dim": 8}, weights=str(tmp_path))


def test_a_start_with_a_norm_head_fits_where_the_neck_has_no_weights(tmp_path: Path) -> None:
    bare = {**TINY, "neck": "sqrt", "norm_head": True}
    saved = build_embedder(**bare).eval()
    save_embedder(saved, tmp_path / "model.safetensors", card={})
    started = build_embedder(**bare, weights=str(tmp_path)).eval()
    assert torch.equal(started(images()), saved(images()))
