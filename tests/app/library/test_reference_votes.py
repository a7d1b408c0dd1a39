"""References that the detector finds only by local features; their index grows, shrinks, lasts."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from asl import CopyDetector
from asl.app.detector import FILE
from asl.app.inspection.inspect_path import inspect_path
from asl.app.library.reference_votes import index_folder
from asl.models import Embedder
from asl.types import AslError, Progress
from tests.app.conftest import Pixels, encode, textured

COUNT = 16


def small_part(seed: int) -> Pixels:
    """A ninth of a picture."""
    return np.ascontiguousarray(textured(seed)[100:200, 130:264])


def collage() -> Pixels:
    """Parts of two pictures on a board with two that are unknown."""
    board = np.full((420, 560, 3), 240, np.uint8)
    for number, seed in enumerate((5, 300, 301, 12)):
        top, left = 10 + 205 * (number // 2), 10 + 270 * (number % 2)
        board[top : top + 195, left : left + 260] = textured(seed)[50:245, 70:330]
    return board


def detector_of(
    embedder: Embedder,
    folder: Path | None = None,
    *,
    votes: int = 3,
    progress: Progress | None = None,
) -> CopyDetector:
    return CopyDetector(
        embedder, folder=folder, regions="none", local_candidates=votes, progress=progress
    )


def fill(detector: CopyDetector) -> CopyDetector:
    detector.add([textured(seed) for seed in range(COUNT)], names=[f"n{n}" for n in range(COUNT)])
    return detector


def found(detector: CopyDetector, image: Pixels) -> set[str]:
    return {match.reference for match in detector.query(image, k=1)}


def test_small_crops_and_collages_are_found_by_local_features_only(embedder: Embedder) -> None:
    with_votes = fill(detector_of(embedder))
    without = fill(detector_of(embedder, votes=0))
    missed = [seed for seed in range(COUNT) if not found(without, small_part(seed))]
    assert len(missed) > COUNT / 2, "else this shows nothing"
    assert [found(with_votes, small_part(seed)) for seed in missed] == [{f"n{n}"} for n in missed]
    assert len(found(without, collage())) < 2
    assert found(with_votes, collage()) == {"n5", "n12"}
    (answer,) = with_votes.query_many([collage()], k=1)
    assert {match.reference for match in answer.matches} == {"n5", "n12"}


def test_every_name_of_a_content_is_found_and_removed_ones_are_not(embedder: Embedder) -> None:
    detector = fill(detector_of(embedder))
    part = small_part(3)
    detector.add([textured(3), textured(50)], names=["again", "n4"])
    assert found(detector, part) == {"n3", "again"}
    detector.remove(["n3", "nobody", "n3"])
    assert found(detector, part) == {"again"}
    detector.add(b"no image", names="again")
    assert found(detector, part) == set()
    assert found(detector, small_part(4)) == set(), "replaced"
    assert found(detector, small_part(50)) == {"n4"}
    detector.add(textured(3), names="n5")
    assert found(detector, part) == {"n5"}


def test_the_index_lasts_and_what_it_lacks_is_read_again(
    embedder: Embedder, tmp_path: Path
) -> None:
    folder, told = tmp_path / "library", list[tuple[int, int]]()
    codes = index_folder(folder / FILE)
    with fill(detector_of(embedder, folder)) as detector:
        detector.remove("n7")
    assert {finding.kind for finding in inspect_path(folder) if not finding.damage} >= {
        "index of local features"
    }
    with detector_of(embedder, folder, progress=lambda *_: pytest.fail("nothing lacked")) as again:
        assert found(again, small_part(3)) == {"n3"}
        assert found(again, small_part(7)) == set()
        again.save(tmp_path / "copy")
    shutil.rmtree(codes)  # a library of an earlier version has none
    with detector_of(embedder, folder, progress=lambda *at: told.append(at)) as old:
        assert told == [(COUNT - 1, COUNT - 1)]
        assert found(old, small_part(3)) == {"n3"}
    for path in codes.glob("*.signs.npy"):
        path.write_bytes(b"damaged")
    with detector_of(embedder, folder) as damaged:
        assert found(damaged, small_part(3)) == {"n3"}
    saved = tmp_path / "copy"
    with detector_of(embedder, saved, progress=lambda *_: pytest.fail("nothing lacked")) as copied:
        assert found(copied, small_part(3)) == {"n3"}


def test_what_was_added_without_votes_is_read_later(embedder: Embedder, tmp_path: Path) -> None:
    with fill(detector_of(embedder, tmp_path, votes=0)):
        assert not index_folder(tmp_path / FILE).exists()
    with detector_of(embedder, tmp_path) as detector:
        assert found(detector, small_part(3)) == {"n3"}


def test_a_killed_process_loses_no_reference(embedder: Embedder, tmp_path: Path) -> None:
    detector = fill(detector_of(embedder, tmp_path / "library"))
    shutil.copytree(tmp_path / "library", tmp_path / "left")
    assert found(detector, small_part(3)) == {"n3"}
    with detector_of(embedder, tmp_path / "left") as again:
        assert len(again) == COUNT
        assert found(again, small_part(3)) == {"n3"}


def test_votes_are_complete_while_references_come_and_go(embedder: Embedder) -> None:
    detector = fill(detector_of(embedder))
    errors: list[BaseException] = []

    def churn(first: int) -> None:
        for seed in range(first, first + 6):
            detector.add(encode(textured(seed, 150, 200)), names=f"c{seed}")
            detector.remove(f"c{seed - 1}")

    def ask() -> None:
        for seed in (3, 5, 9, 12):
            assert found(detector, small_part(seed)) == {f"n{seed}"}

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    work = (lambda: churn(100), lambda: churn(200), ask, ask)
    threads = [threading.Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert len(detector) == COUNT + 2


def test_all_files_of_a_library_are_checked(embedder: Embedder, tmp_path: Path) -> None:
    with fill(detector_of(embedder, tmp_path)) as detector:
        detector.check()
    with detector_of(embedder, tmp_path) as detector:
        (path,) = index_folder(tmp_path / FILE).glob("*.signs.npy")
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(AslError, match=r"signs\.npy: damaged"):
            detector.check()
    detector_of(embedder).check()
