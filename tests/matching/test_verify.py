"""Pairs in, scores out: copies above look-alikes, in the right direction, whatever is thrown at it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.matching import Budget, Settings, Verifier, verify_pairs
from asl.matching.cache import Cache
from asl.matching.prepare import prepare
from asl.types import AslError, ScoredPairs

from .conftest import Image, textured

EDITS = {
    "crop": lambda image: image[30:160, 40:210],
    "mirror": lambda image: image[:, ::-1],
    "quarter turn": lambda image: np.rot90(image),
    "negative": lambda image: 255 - image,
    "darker": lambda image: (image * 0.5 + 20).astype(np.uint8),
    "gray": lambda image: np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2),
    "blur": lambda image: cv2.GaussianBlur(image, (0, 0), 2),
    "smaller": lambda image: cv2.resize(image, (120, 90), interpolation=cv2.INTER_AREA),
    "padded": lambda image: cv2.copyMakeBorder(image, 40, 40, 60, 60, cv2.BORDER_CONSTANT, value=(255, 255, 255)),
}


class Images:
    """Loads textured pictures by their number; picklable."""

    def __call__(self, name: str) -> Image:
        if name == "broken":
            raise AslError("no image data")
        image = textured(int(name.rsplit("-", 1)[-1]))
        if name.startswith("patched"):  # the same scene, but for a part of it
            image[60:120, 80:150] = textured(40)[60:120, 80:150]
        return np.ascontiguousarray(image[20:150, 30:200]) if name.startswith("crop") else image


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_is_surer_than_another_picture(picture: Image, other_picture: Image, edit: str) -> None:
    query = np.ascontiguousarray(EDITS[edit](picture))
    verifier = Verifier()
    right, wrong = verifier.verify(query, picture), verifier.verify(query, other_picture)
    assert right.probability > 0.5 > wrong.probability
    assert right.regions
    assert ("inverted" in right.reason) == (edit == "negative")


def test_the_whole_is_no_copy_of_its_crop(picture: Image) -> None:
    crop = np.ascontiguousarray(picture[30:150, 40:200])
    verifier = Verifier()
    there, back = verifier.verify(crop, picture), verifier.verify(picture, crop)
    assert there.probability > 0.5 > back.probability
    assert there.direction == "query<-reference"
    assert there.evidence.cover_reference < 0.75 < there.evidence.cover_query


def test_the_same_pair_gives_the_same_verdict(picture: Image) -> None:
    query = np.ascontiguousarray(picture[10:, 20:])
    first, second = (Verifier().verify(query, picture) for _ in range(2))
    np.testing.assert_array_equal(first.evidence.vector(), second.evidence.vector())
    assert (first.probability, first.reason) == (second.probability, second.reason)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 9), (64, 64)])
def test_flat_and_tiny_images_are_answered(picture: Image, shape: tuple[int, int]) -> None:
    flat = np.full((*shape, 3), 127, np.uint8)
    for query, reference in ((flat, picture), (picture, flat), (flat, flat)):
        verdict = Verifier().verify(query, reference)
        assert 0 <= verdict.probability <= 1
        assert verdict.reason
        assert np.isfinite(verdict.evidence.vector()).all()


def test_what_is_no_image_is_refused() -> None:
    for bad in (np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(AslError, match="image"):
            prepare(bad, Settings())


def candidates() -> ScoredPairs:
    return ScoredPairs.from_ids(
        ["crop-1", "crop-1", "crop-2", "7", "broken"], ["1", "2", "2", "1", "1"], [0.6, 0.9, 0.7, 0.8, 0.95]
    )


def test_workers_and_cache_change_nothing(tmp_path: Path) -> None:
    load = Images()
    serial = verify_pairs(candidates(), load_query=load, load_reference=load)
    for workers, cache in ((2, None), (0, tmp_path), (0, tmp_path)):
        again = verify_pairs(candidates(), load_query=load, load_reference=load, workers=workers, cache=cache)
        np.testing.assert_array_equal(again.pairs.scores, serial.pairs.scores)
    scores = dict(
        zip(zip(*(serial.pairs.query_ids, serial.pairs.reference_ids), strict=True), serial.pairs.scores, strict=True)
    )
    assert scores["crop-1", "1"] > 0.5 > scores["crop-1", "2"]
    assert serial.failures == {"query:broken": "no image data"}
    assert scores["broken", "1"] < 0.05  # only its embedding speaks for it
    assert len(serial.verdicts) + 1 == len(candidates())


def test_a_reference_that_is_explained_away_says_by_which_one() -> None:
    pairs = ScoredPairs.from_ids(["crop-1", "crop-1"], ["patched-1", "1"], [0.9, 0.8])
    found = verify_pairs(pairs, load_query=Images(), load_reference=Images())
    alone = [found.verdicts[row].probability for row in (0, 1)]
    assert alone[1] > alone[0]
    assert found.pairs.scores[1] == pytest.approx(alone[1], abs=1e-3)
    assert found.pairs.scores[0] < alone[0] / 2
    assert found.verdicts[0].reason.endswith("; 1 explains this part of the query better")
    assert "explains" not in found.verdicts[1].reason


def test_a_budget_is_kept_best_first() -> None:
    load = Images()
    one = verify_pairs(candidates(), load_query=load, load_reference=load, budget=Budget(pairs=2))
    assert {candidates().query_ids[row] for row in one.verdicts} <= {"crop-1"}
    none = verify_pairs(candidates(), load_query=load, load_reference=load, budget=Budget(seconds=0))
    assert not none.verdicts
    assert (np.argsort(none.pairs.scores) == np.argsort(candidates().scores)).all()


def test_a_damaged_cache_file_is_written_anew(tmp_path: Path, picture: Image) -> None:
    cache, prepared = Cache(tmp_path, Settings()), prepare(picture, Settings())
    assert cache.get("reference", "a") is None
    cache.put("reference", "a", prepared)
    path = cache.path("reference", "a")
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"x" * 300):
        path.write_bytes(damaged)
        assert cache.get("reference", "a") is None
    cache.put("reference", "a", prepared)
    again = cache.get("reference", "a")
    assert again is not None
    np.testing.assert_array_equal(again.descriptors, prepared.descriptors)
    np.testing.assert_array_equal(again.points, prepared.points)
    assert Cache(tmp_path, Settings(size=256)).get("reference", "a") is None
    assert Cache(tmp_path, Settings(), "other").get("reference", "a") is None


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
            import multiprocessing, time
            from asl.matching.pool import end_with_parent

            def work(path):
                import os
                end_with_parent()
                open(path, "w").write(str(os.getpid()))
                time.sleep(300)

            if __name__ == "__main__":
                import sys
                child = multiprocessing.get_context("spawn").Process(target=work, args=(sys.argv[1],))
                child.start()
                child.join()
            """)
    )
    pid = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, str(script), str(pid)])
    try:
        deadline = time.monotonic() + 60
        while not (pid.exists() and pid.read_text()):
            assert time.monotonic() < deadline, "the worker did not start"
            time.sleep(0.05)
        worker = int(pid.read_text())
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    while _runs(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
