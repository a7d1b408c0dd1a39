"""Published layouts, each from a small set written in exactly that layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from asl.data.completeness import check_benchmark
from asl.data.hard_pair_lists import HardPair
from asl.data.layouts import open_benchmark
from asl.data.scenes import render_scene
from asl.types import AslError, UsageError


def write(path: Path, seed: int = 0, look: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), render_scene(seed, look=look, height=60, width=80)[..., ::-1])


def test_ndec_as_published(tmp_path: Path) -> None:
    for name in ("T000001", "T000007"):
        write(tmp_path / "train" / f"{name}.jpg")
    for name in ("R000001", "R000002"):
        write(tmp_path / "references" / f"{name}.jpg")
    for name in ("Q25000", "Q25001", "Q50000"):
        write(tmp_path / "query_images_h5" / f"{name}.jpg")
    write(tmp_path / "negative_pair" / "00000" / "T000001.jpg")
    write(tmp_path / "negative_pair" / "00000" / "abc123.jpg", look=1)
    (tmp_path / "public_ground_truth_h5.csv").write_text(
        "query_id,reference_id\nQ25000,R000002\nQ25001,\n"
    )
    benchmark = open_benchmark(tmp_path)
    assert benchmark.name == "ndec"
    assert benchmark.truth.kinds == {
        "Q25000": "copy",
        "Q25001": "distractor",
        "Q50000": "hard:ndec",
    }
    assert benchmark.hard_pairs == (HardPair("T000001", "00000/abc123"),)
    assert benchmark.train is not None
    assert benchmark.train.ids.tolist() == ["T000001", "T000007", "00000/abc123"]
    bad = [finding.text for finding in check_benchmark(benchmark, "ndec") if not finding.good]
    assert "queries: 3 of 49252 published" in bad
    assert not any("decoded" in text for text in bad)
    write(tmp_path / "negative_pair" / "00000" / "third.jpg")
    with pytest.raises(AslError, match=r"1 of 1 pair folders are broken.*two images, found 3"):
        open_benchmark(tmp_path)


def test_disc21_splits_share_one_folder_of_queries(tmp_path: Path) -> None:
    for name in ("Q00000", "Q24999", "Q25000", "Q49999"):
        write(tmp_path / "dev_queries" / f"{name}.jpg")
    write(tmp_path / "references" / "R000005.jpg")
    (tmp_path / "public_ground_truth.csv").write_text("Q00000,R000005\nQ24999,\n")
    (tmp_path / "dev_part_2_ground_truth.csv").write_text("query_id,reference_id\nQ49999,R000005\n")
    assert open_benchmark(tmp_path, layout="disc21_dev1").queries.ids.tolist() == [
        "Q00000",
        "Q24999",
    ]
    second = open_benchmark(tmp_path, layout="disc21_dev2")
    assert second.queries.ids.tolist() == ["Q25000", "Q49999"]
    assert second.truth.queries.tolist() == ["Q25000", "Q49999"], (
        "queries without a match come from the folder"
    )


def disc21(root: Path, queries: dict[str, list[str]]) -> Path:
    """DISC21 with both development truths, and queries as asked for."""
    for folder, names in queries.items():
        for name in names:
            write(root / folder / f"{name}.jpg")
    for name in ("R000001", "R000002", "R000003"):
        write(root / "references" / f"{name}.jpg")
    (root / "public_ground_truth.csv").write_text(
        "query_id,reference_id\nQ00000,R000001\nQ00001,\n"
    )
    (root / "dev_part_2_ground_truth.csv").write_text(
        "query_id,reference_id\nQ25000,R000002\nQ25001,\n"
    )
    return root


@pytest.mark.parametrize("layout", ["auto", "disc21"])
def test_disc21_with_both_development_parts_is_ambiguous(tmp_path: Path, layout: str) -> None:
    """One part's queries must not be distractors of another part's truth."""
    root = disc21(tmp_path, {"queries": ["Q00000", "Q00001", "Q25000", "Q25001"]})
    with pytest.raises(
        AslError,
        match=r"truth of dev1 and dev2; name the layout: disc21_dev1 .*dev2 .*disc21_final",
    ):
        open_benchmark(root, layout=layout)
    with pytest.raises(
        AslError, match="no query in final_queries or queries/ with an id of Q50000 to Q99999"
    ):
        open_benchmark(root, layout="disc21_final")
    second = open_benchmark(root, layout="disc21_dev2")
    assert second.queries.ids.tolist() == second.truth.queries.tolist() == ["Q25000", "Q25001"]
    assert second.truth.query_ids.tolist() == ["Q25000"]


@pytest.mark.parametrize("layout", ["auto", "disc21"])
def test_disc21_with_one_part_needs_no_choice(tmp_path: Path, layout: str) -> None:
    root = disc21(tmp_path, {"dev_queries": ["Q25000", "Q25001"]})
    opened = open_benchmark(root, layout=layout)
    assert opened.name == "disc21_dev2"
    assert opened.truth.query_ids.tolist() == ["Q25000"]


def test_disc21_final_takes_its_own_queries_and_rows(tmp_path: Path) -> None:
    """All queries in one folder, all truth in one file, as well as a folder of its own."""
    everything = {"queries": ["Q00000", "Q00001", "Q25000", "Q50000", "Q50001"]}
    for root, queries in (
        (tmp_path / "one", everything),
        (tmp_path / "own", {"final_queries": ["Q50000", "Q50001"]}),
    ):
        disc21(root, queries)
        (root / "all_ground_truth.csv").write_text(
            "Q00000,R000001\nQ25000,R000002\nQ50001,R000003\n"
        )
        final = open_benchmark(root, layout="disc21_final")
        assert final.queries.ids.tolist() == final.truth.queries.tolist() == ["Q50000", "Q50001"]
        assert final.truth.query_ids.tolist() == ["Q50001"]
    first = open_benchmark(tmp_path / "one", layout="disc21_dev1")
    assert first.truth.query_ids.tolist() == ["Q00000"]
    assert open_benchmark(tmp_path / "own").name == "disc21_final", (
        "the development truths have no queries here"
    )


def test_a_part_without_truth_says_where_it_was_looked_for(tmp_path: Path) -> None:
    root = disc21(tmp_path, {"queries": ["Q50000"]})
    with pytest.raises(
        AslError, match=r"no true pair in \*final\*ground_truth\*\.csv with an id of Q50000"
    ):
        open_benchmark(root, layout="disc21_final")
    with pytest.raises(
        AslError, match="holds no part of DISC21 with queries and truth; name the layout"
    ):
        open_benchmark(root)


def test_copydays_blocks(tmp_path: Path) -> None:
    for name in ("200000", "200100"):
        write(tmp_path / "original" / f"{name}.jpg")
        write(tmp_path / "jpegqual" / "15" / f"{name}.jpg")
        write(tmp_path / "crops" / "50" / f"{name}.jpg")
    write(tmp_path / "strong" / "200001.jpg")
    write(tmp_path / "distractors" / "x.jpg")
    benchmark = open_benchmark(tmp_path)
    assert benchmark.references.ids.tolist() == ["200000", "200100", "distractors/x.jpg"]
    pairs = set(
        zip(benchmark.truth.query_ids.tolist(), benchmark.truth.reference_ids.tolist(), strict=True)
    )
    assert ("strong/200001", "200000") in pairs
    assert ("crops/50/200100", "200100") in pairs
    assert ("jpegqual/15/200000", "200100") not in pairs


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        open_benchmark(tmp_path / "none")
    with pytest.raises(AslError, match="not a benchmark"):
        open_benchmark(tmp_path)
    write(tmp_path / "references" / "R1.jpg")
    write(tmp_path / "queries" / "Q1.jpg")
    (tmp_path / "truth.csv").write_text("Q1,R2\n")
    with pytest.raises(AslError, match="'R2'"):
        open_benchmark(tmp_path)


def test_two_references_of_one_stem_are_both_named(tmp_path: Path) -> None:
    write(tmp_path / "references" / "R1.jpg")
    write(tmp_path / "references" / "R1.png")
    write(tmp_path / "queries" / "Q1.jpg")
    (tmp_path / "truth.csv").write_text("Q1,R1\n")
    with pytest.raises(AslError, match=r"references: R1\.jpg and R1\.png get the same id 'R1'"):
        open_benchmark(tmp_path)
