"""Scans that skip hopeless pairs, beside the slow way: comparing all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from asl.app.scanning import pair_comparer
from asl.app.scanning.pair_prospects import PairProspects, packaged_prospects
from asl.console.schemas.scan_config import ScanConfig
from tests.app.conftest import encode, textured
from tests.app.scans import names, run_scan, scan, scanned, summary

NEVER = 2.0  # no cosine reaches it


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """From three pictures on, a scan skips hopeless pairs."""
    monkeypatch.setattr("asl.app.scanning.scan_folder.ALL_COMPARED", 2)


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> PairProspects:
    """Rule that no cosine satisfies: votes and features decide."""
    rule = PairProspects("m", NEVER, 5, 0.0, NEVER, 2.0)
    monkeypatch.setattr("asl.app.scanning.scan_folder.prospects_of", lambda _: rule)
    return rule


@pytest.mark.usefixtures("rule")
def test_a_hopeless_pair_is_skipped_and_counted(
    photos: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = scanned(photos, model, tmp_path / "some")
    every = scanned(photos, model, tmp_path / "all", "--compare", "all")
    assert rows == every, "the slow way finds the same"
    some, all_pairs = summary(tmp_path / "some"), summary(tmp_path / "all")
    assert all_pairs["skipped_as_hopeless"] == 0
    assert all_pairs["compared"] == some["compared"] + some["skipped_as_hopeless"] == 21
    assert some["compared"] < 8
    quick = ("--precision", "0.6", "--workers", 1, "--max-failure-rate", 0.5)
    assert scan(photos, "--model", model, "--output", tmp_path / "some", *quick) == 0
    printed = capsys.readouterr().out
    assert f"{some['skipped_as_hopeless']} candidate pairs have too little in common" in printed


@pytest.mark.usefixtures("rule")
def test_all_pairs_of_few_pictures_are_compared_unless_asked_otherwise(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asl.app.scanning.scan_folder.ALL_COMPARED", 7)
    scanned(photos, model, tmp_path / "auto")
    assert (summary(tmp_path / "auto")["compared"], ScanConfig.compare) == (21, "auto")
    scanned(photos, model, tmp_path / "some", "--compare", "promising")
    assert summary(tmp_path / "some")["skipped_as_hopeless"] > 0


@pytest.mark.usefixtures("rule")
def test_a_pair_of_low_cosine_and_many_votes_is_compared(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    """No cosine suffices here: the votes of the crop for its photo and their agreement do."""
    found = names(scanned(photos, model, tmp_path / "out"))
    assert ("p0.jpg", "crop-of-0.jpg", "original->copy") in found
    without = scanned(photos, model, tmp_path / "none", "--local-candidates", 0)
    assert without == []
    assert summary(tmp_path / "none")["compared"] == 0


def test_votes_alone_do_not_suffice(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = PairProspects("m", NEVER, 10_000, 0.0, 0.0, 0.0)
    monkeypatch.setattr("asl.app.scanning.scan_folder.prospects_of", lambda _: rule)
    assert scanned(photos, model, tmp_path / "out") == []
    assert summary(tmp_path / "out")["skipped_as_hopeless"] == 21


@pytest.mark.usefixtures("rule")
def test_a_second_scan_tests_nothing_again(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scanned(photos, model, tmp_path / "out")

    def refuse(pairs: list[object], **_: object) -> list[int]:
        assert not pairs
        return []

    monkeypatch.setattr(pair_comparer, "agreement_counts", refuse)
    assert scanned(photos, model, tmp_path / "out") == first


def test_verdicts_of_a_scan_that_compared_all_are_used_and_counted(
    photos: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The rule leaves out every pair."""
    rule = PairProspects("m", NEVER, 10_000, 0.0, NEVER, 10_000)
    monkeypatch.setattr("asl.app.scanning.scan_folder.prospects_of", lambda _: rule)
    output = tmp_path / "out"
    assert scanned(photos, model, output) == []
    assert summary(output)["skipped_as_hopeless"] == 21
    every = scanned(photos, model, output, "--compare", "all")
    assert every
    assert scanned(photos, model, output) == every
    recalled = summary(output)
    assert recalled["decided_by_earlier_scans"] == recalled["compared"] == 21
    assert recalled["skipped_as_hopeless"] == 0
    capsys.readouterr()
    quick = ("--precision", "0.6", "--workers", 1, "--max-failure-rate", 0.5)
    assert scan(photos, "--model", model, "--output", output, *quick) == 0
    assert "21 pairs of little in common decided by an earlier scan" in capsys.readouterr().out


def test_without_votes_the_features_of_a_test_are_extracted(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = PairProspects("m", NEVER, 5, 0.0, 0.0, 0.0)
    monkeypatch.setattr("asl.app.scanning.scan_folder.prospects_of", lambda _: rule)
    found = scanned(photos, model, tmp_path / "out", "--local-candidates", 0)
    assert ("p0.jpg", "crop-of-0.jpg", "original->copy") in names(found)
    assert summary(tmp_path / "out")["skipped_as_hopeless"] > 0


def test_other_models_have_no_rule(photos: Path, model: Path, tmp_path: Path) -> None:
    run_scan(photos, model, tmp_path / "out")
    assert summary(tmp_path / "out")["skipped_as_hopeless"] == 0
    assert summary(tmp_path / "out")["compared"] == 21


@pytest.mark.slow
@pytest.mark.parametrize("name", packaged_prospects())
def test_a_packaged_rule_finds_what_comparing_all_finds(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures with a crop, a small copy and a mirrored blur of each, whatever their cosines.

    Drawn pictures are all alike to the model: by the cosine, nearly all pairs would be compared.
    """
    rule = replace(packaged_prospects()[name], compared_cosine=NEVER)
    monkeypatch.setattr("asl.app.scanning.scan_folder.prospects_of", lambda _: rule)
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(8):
        photo = textured(seed)
        (photos / f"p{seed}.jpg").write_bytes(encode(photo, quality=92))
        for what, copy in (
            ("crop", photo[60:240, 80:320]),
            ("small", cv2.resize(photo, (200, 150), interpolation=cv2.INTER_AREA)),
            ("blur", cv2.GaussianBlur(photo[:, ::-1], (0, 0), 2.0)),
        ):
            (photos / f"{what}{seed}.jpg").write_bytes(encode(copy, quality=85))
    found = {}
    for kind in ("promising", "all"):
        output = tmp_path / kind
        arguments = (photos, "--output", output, "--compare", kind, "--workers", 1, "--quiet")
        assert scan(*arguments, "--model", name) == 0
        found[kind] = summary(output)
    assert found["promising"]["pairs"] == found["all"]["pairs"] >= 24
    assert found["promising"]["compared"] < 0.7 * found["all"]["compared"]
