"""Verified searches of a collection against those of the images themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from asl import extract
from asl.cli import compose
from asl.models import build_embedder, save_embedder
from asl.pipeline.search_plan import SearchPlan
from asl.pipeline.served_search import without_calibration
from asl.types import AslError, UsageError
from tests.pipeline.test_search_run import verified

pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of its own dependencies


@pytest.fixture(scope="module")
def collection(files: Path) -> str:
    keys = [f"images={files / 'library'}", f"model={files / 'm.safetensors'}", "workers=0"]
    keys += [f"output={files / 'store'}", f"index=milvus+{files / 'library.db'}"]
    assert extract.run(compose("extract", keys)) == 0
    return f"references=milvus+{files / 'library.db'}"


@pytest.mark.parametrize(
    "more",
    [["local_candidates=2"], ["local_candidates=0"], ["most=3", "candidate_score=soft"]],
    ids=" ".join,
)
def test_a_collection_is_verified_as_its_images_are(
    files: Path, tmp_path: Path, collection: str, more: list[str]
) -> None:
    images = f"reference_images={files / 'library'}"
    found = verified(files, tmp_path, collection, images, *more)
    assert found == verified(files, tmp_path, f"references={files / 'library'}", *more)
    assert [row[0] for row in found if float(row[2]) > 0.5] == ["0.png", "1.png", "2.png"]


def test_local_features_are_kept_beside_the_file(
    files: Path, tmp_path: Path, collection: str
) -> None:
    images = f"reference_images={files / 'library'}"
    verified(files, tmp_path, collection, images)
    kept = files / "library.db.local" / "local.npz"
    before = kept.stat().st_mtime_ns
    verified(files, tmp_path, collection, images)
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ([], UsageError, "give query_images= and reference_images= beside the stores"),
        (["reference_images={files}/none"], UsageError, "there is no .*none"),
        (
            ["reference_images={files}/library", "references=milvus+http://127.0.0.1:1"],
            UsageError,
            "local_index: references on a server have no folder .* local_candidates=0",
        ),
        (["k=null"], UsageError, "^k: score=verified compares the k best"),
    ],
)
def test_wrong_use_is_one_line(
    files: Path,
    tmp_path: Path,
    collection: str,
    more: list[str],
    error: type[Exception],
    message: str,
) -> None:
    words = [word.replace("{files}", str(files)) for word in more]
    with pytest.raises(error, match=message):
        verified(files, tmp_path, collection, *words)


@pytest.mark.parametrize("local", [0, 1])
def test_images_of_other_names_are_refused(
    files: Path, tmp_path: Path, collection: str, local: int
) -> None:
    (tmp_path / "moved").mkdir()
    for path in (files / "library").iterdir():
        (tmp_path / "moved" / f"new {path.name}").write_bytes(path.read_bytes())
    images = f"reference_images={tmp_path / 'moved'}"
    with pytest.raises(AslError, match="reference_images: none of the 4 embedded images is among"):
        verified(files, tmp_path, collection, images, f"local_candidates={local}")


def test_a_collection_of_another_model_is_refused(
    files: Path, tmp_path: Path, collection: str
) -> None:
    torch.manual_seed(1)
    other = build_embedder(backbone="mobilenetv3_small_050", neck="none", size=64).eval()
    save_embedder(other, tmp_path / "other.safetensors", card={})
    images = f"reference_images={files / 'library'}"
    with pytest.raises(AslError, match=r"holds features of .*, the queries are of .*model="):
        verified(files, tmp_path, collection, images, f"model={tmp_path / 'other.safetensors'}")


def test_an_image_that_has_changed_is_reported(
    files: Path, tmp_path: Path, collection: str, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    for path in (files / "library").iterdir():
        (library / path.name).write_bytes(path.read_bytes())
    images = f"reference_images={library}"
    copied = verified(files, tmp_path, collection, images)
    assert "since they were embedded" not in capsys.readouterr().err, (
        "copied files are the same images"
    )
    (library / "2.png").write_bytes((files / "new" / "4.png").read_bytes())
    changed = verified(files, tmp_path, collection, images)
    said = "1 of 4 images changed since they were embedded, e.g. '2.png'"
    assert f"reference_images: {said}" in capsys.readouterr().err
    assert changed != copied, "the pixels are those of now"
    verified(files, tmp_path, f"references={files / 'store'}", images)
    assert f"reference_images: {said}" in capsys.readouterr().err


@dataclass(frozen=True)
class Plan:
    """The two fields that are read."""

    least: float | None
    calibration: Any


def test_a_collection_of_another_range_has_no_calibration() -> None:
    assert without_calibration(cast(SearchPlan, Plan(None, "curve"))).calibration is None
    uncalibrated = cast(SearchPlan, Plan(0.5, None))  # verified: the threshold is of probabilities
    assert without_calibration(uncalibrated) is uncalibrated
    with pytest.raises(UsageError, match="the collection was filled with another range"):
        without_calibration(cast(SearchPlan, Plan(0.5, "curve")))
