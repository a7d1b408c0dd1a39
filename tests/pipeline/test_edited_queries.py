"""Query sets of edited copies: truth, seeds, unreadable images, refusals."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asl.console.schemas.edit_config import EditConfig
from asl.data.catalog import open_catalog
from asl.data.images import decode_image
from asl.data.truth import read_truth
from asl.edits.benchmark_kinds import benchmark_kinds
from asl.pipeline.edited_queries import make_edited_queries
from asl.types import AslError, UsageError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, size=(6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((80, 60), Image.Resampling.BICUBIC).save(
            folder / f"p{number}.png"
        )
    return folder


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "edits.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_query_set_with_its_truth(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert (
        make_edited_queries(
            EditConfig(images=str(photos), output=str(output), edits="kinds", views=2)
        )
        == 0
    )
    truth, table = read_truth(output / "truth.csv"), rows(output)
    assert truth.query_ids.tolist() == [f"Q{number:06d}.jpg" for number in range(6)]
    assert truth.reference_ids.tolist() == [
        "p0.png",
        "p0.png",
        "p1.png",
        "p1.png",
        "p2.png",
        "p2.png",
    ]
    assert list(truth.kinds.values()) == list(benchmark_kinds())[:6]
    for row in table:
        image = decode_image(output / "queries" / row["query_id"])
        assert image.shape == (int(row["height"]), int(row["width"]), 3)
        assert 0 < float(row["content"]) <= 1
        assert json.loads(row["edits"])[0]["edit"]
    assert (output / "sheet.jpg").is_file()
    assert not (output / "failures.csv").exists()


@pytest.mark.parametrize("id_style", ["path", "stem"])
def test_the_truth_has_the_ids_of_a_search(photos: Path, tmp_path: Path, id_style: str) -> None:
    output = tmp_path / "out"
    keys = {"images": str(photos), "output": str(output), "views": 1, "id_style": id_style}
    for quality in (0, 95):
        make_edited_queries(EditConfig(**keys, quality=quality))  # type: ignore[arg-type]
        truth = read_truth(output / "truth.csv")
        queries = open_catalog(output / "queries", id_style=id_style)
        assert truth.query_ids.tolist() == queries.ids.tolist()
        assert set(truth.reference_ids) <= set(open_catalog(photos, id_style=id_style).ids)
        shutil.rmtree(output)


def test_the_same_seed_gives_the_same_files(photos: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_edited_queries(
            EditConfig(images=str(photos), output=str(tmp_path / name), views=2, size=48, seed=seed)
        )
    files = {
        name: [path.read_bytes() for path in sorted((tmp_path / name / "queries").iterdir())]
        for name in "abc"
    }
    assert files["a"] == files["b"]
    assert files["a"] != files["c"]
    assert [row["width"] + row["height"] for row in rows(tmp_path / "a")] == ["4848"] * 6


def test_one_image_through_every_edit_without_loss(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    make_edited_queries(
        EditConfig(images=str(photos / "p0.png"), output=str(output), edits="every", quality=0)
    )
    table = rows(output)
    assert len(table) > 50
    assert {row["source"] for row in table} == {"p0.png"}
    flipped = next(row["query_id"] for row in table if row["kind"] == "flip")
    assert np.array_equal(
        decode_image(output / "queries" / flipped),
        decode_image(photos / "p0.png")[:, ::-1],
    )


def test_unreadable_and_strange_images(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    Image.new("RGB", (1, 1)).save(photos / "dot.png")
    (photos / "dead.jpg").symlink_to("nowhere.jpg")
    noise = np.random.default_rng(0).integers(0, 256, size=(40, 50, 4), dtype=np.uint8)
    Image.fromarray(noise, mode=None).save(photos / "alpha.png")
    Image.fromarray(noise[..., 0]).save(photos / "gray.png")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 200).save(photos / "deep.png")
    Image.fromarray(noise[..., :3]).convert("CMYK").save(photos / "cmyk.jpg")
    output = tmp_path / "out"
    assert make_edited_queries(EditConfig(images=str(photos), output=str(output), views=3)) == 0
    failures = (output / "failures.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in failures[1:]] == ["broken.jpg", "dead.jpg", "dot.png"]
    assert failures[2] == 'dead.jpg,"cannot be read: a link to nowhere.jpg, which leads nowhere"'
    assert "expected at least 2 x 2 pixels, got 1 x 1" in failures[3]
    edited = {row["source"] for row in rows(output)}
    assert edited == {"p0.png", "p1.png", "p2.png", "alpha.png", "gray.png", "deep.png", "cmyk.jpg"}


def test_refusals(photos: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    with pytest.raises(UsageError, match="images: there is no nowhere"):
        make_edited_queries(EditConfig(images="nowhere", output=output))
    with pytest.raises(
        UsageError, match=r"^edits: there is no recipe 'disc'.*and the sets every, kinds"
    ):
        make_edited_queries(EditConfig(images=str(photos), output=output, edits="disc"))
    with pytest.raises(UsageError, match="views: must be 1 or more, got 0"):
        make_edited_queries(EditConfig(images=str(photos), output=output, views=0))
    with pytest.raises(UsageError, match="quality"):
        make_edited_queries(EditConfig(images=str(photos), output=output, quality=101))
    make_edited_queries(EditConfig(images=str(photos), output=output, edits="light", views=1))
    with pytest.raises(UsageError, match="holds queries already"):
        make_edited_queries(EditConfig(images=str(photos), output=output))
    only_bad = tmp_path / "bad"
    only_bad.mkdir()
    (only_bad / "x.jpg").write_bytes(b"nothing")
    with pytest.raises(AslError, match=r"none of 1 could be read, e.g. x.jpg"):
        make_edited_queries(EditConfig(images=str(only_bad), output=str(tmp_path / "other")))
