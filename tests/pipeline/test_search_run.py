"""Verified searches of images, a store and an index give the same pairs; wrong images are named."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from asl import extract, search
from asl.cli import compose
from asl.types import AslError, UsageError


@pytest.fixture(scope="module")
def library(files: Path) -> Path:
    """The store and the index of the references beside them."""
    keys = [f"images={files / 'library'}", f"model={files / 'm.safetensors'}"]
    keys += [f"output={files / 'store'}", f"index={files / 'index'}", "workers=0"]
    assert extract.run(compose("extract", keys)) == 0
    return files


def verified(files: Path, output: Path, *more: str) -> list[tuple[str, ...]]:
    """Lines of a verified search, with the values that pixels decide."""
    keys = [f"queries={files / 'new'}", f"output={output / 'p.csv'}", "workers=0", "k=2"]
    keys += ["score=verified", "candidate_score=cosine", f"model={files / 'm.safetensors'}"]
    assert search.run(compose("search", [*keys, *more])) == 0
    with (output / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ("query_id", "reference_id", "score", "direction", "reason")
    return sorted(tuple(row[name] for name in names) for row in rows)


@pytest.mark.parametrize("place", ["store", "index"])
def test_a_store_and_an_index_are_verified_as_their_images_are(
    library: Path, tmp_path: Path, place: str
) -> None:
    expected = verified(library, tmp_path, f"references={library / 'library'}")
    images = f"reference_images={library / 'library'}"
    assert verified(library, tmp_path, f"references={library / place}", images) == expected
    assert (library / place / "local.npz").is_file()
    kept = tmp_path / "kept"
    verified(library, tmp_path, f"references={library / place}", images, f"local_index={kept}")
    assert (kept / "local.npz").is_file()


def test_images_that_are_not_those_of_the_features_are_refused(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    references = f"references={library / 'index'}"
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for path in (library / "library").iterdir():
        (renamed / f"moved {path.name}").write_bytes(path.read_bytes())
    images = f"reference_images={renamed}"
    with pytest.raises(AslError, match=r"reference_images: none of the 4 .* like 'moved 0\.png'"):
        verified(library, tmp_path, references, images)
    (renamed / "0.png").write_bytes((library / "library" / "0.png").read_bytes())
    rows = verified(library, tmp_path, references, images)
    assert "3 of 4 embedded images are not among these images" in capsys.readouterr().err
    assert [row[:2] for row in rows if float(row[2]) > 0.5] == [("0.png", "0.png")]
    with pytest.raises(UsageError, match="local_index: expected a folder, got the file"):
        verified(library, tmp_path, references, images, f"local_index={renamed / '0.png'}")
