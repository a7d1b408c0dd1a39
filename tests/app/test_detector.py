from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from asl import CopyDetector
from asl.app.detector import FILE
from asl.app.library.sources import by_content
from asl.data.scenes import render_scene
from asl.features.regions import REGIONS
from asl.models import Embedder, build_embedder, load_embedder, model_hash, save_embedder
from asl.scoring.calibration import Calibration
from asl.scoring.score import Score
from asl.shared_defaults import MODEL, MODELS
from asl.types import AslError, UsageError
from tests.app.conftest import crop, encode, textured


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, asl, asl.app; sys.exit('torch' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_editors_find_what_is_loaded_on_use() -> None:
    import asl

    assert set(asl.__all__) <= set(dir(asl))
    for name in asl.__all__:
        assert getattr(asl, name)


def test_five_lines(photos: Path, embedder: Embedder) -> None:
    detector = CopyDetector(embedder)
    result = detector.add(photos)
    assert len(detector) == 7
    assert [name for name, _ in result.failures] == ["broken.jpg"]
    assert "truncated" in result.failures[0][1]
    matches = detector.query(photos / "sub" / "crop-of-0.jpg")
    assert [match.reference for match in matches] == ["sub/crop-of-0.jpg", "p0.jpg"]
    same, cut = matches
    assert (same.probability, same.direction, same.reason) == (
        1.0,
        "unclear",
        "the same file, byte for byte",
    )
    assert cut.direction == "reference->query"
    assert cut.probability > 0.5
    assert cut.edits == ("cropped to 36 %",), "nothing that was not done"


def test_what_was_added_before_a_source_broke_off_is_found(embedder: Embedder) -> None:
    detector = CopyDetector(embedder)
    images = [*(textured(seed) for seed in range(150)), textured(150).astype(np.float32)]
    with pytest.raises(UsageError):
        detector.add(images, names=[f"n{number}" for number in range(151)])
    assert len(detector) == len(detector.store.names()) > 0
    assert detector.query(textured(0), k=1)[0].reference == "n0"


def test_the_direction_turns_with_the_question(embedder: Embedder) -> None:
    whole, part = textured(0), crop(textured(0))
    detector = CopyDetector(embedder)
    detector.add([part, textured(3)], names=["part", "other"])
    (cut,) = detector.query(whole)
    assert (cut.reference, cut.direction) == ("part", "query->reference")
    assert cut.reason.startswith("all of the reference matches 36 % of the query")
    detector.remove("part")
    detector.add(whole, names="whole")
    found = detector.query(part)
    assert [(m.reference, m.direction) for m in found] == [("whole", "reference->query")]
    assert found[0].reason.startswith("all of the query matches 36 % of the reference")
    x, y = np.array(found[0].reference_outline).T
    assert 0.15 < x.min() < 0.25 < 0.75 < x.max() < 0.85, "the outline lies where the crop was cut"
    assert 0.15 < y.min() < 0.25 < 0.75 < y.max() < 0.85


def test_min_probability_0_gives_all_candidates_and_k_bounds_them(
    photos: Path, embedder: Embedder
) -> None:
    detector = CopyDetector(embedder, local_candidates=0)
    detector.add(photos)
    everything = detector.query(textured(20), k=7, min_probability=0)
    assert len(everything) == 7
    assert not any(match.accepted for match in everything)
    assert len(detector.query(textured(20), k=3, min_probability=0)) == 3
    assert detector.query(textured(20)) == []


def test_references_outlive_the_process(photos: Path, model: Path, tmp_path: Path) -> None:
    with CopyDetector(model, folder=tmp_path / "library") as detector:
        detector.add(photos)
        detector.remove(["p3.jpg", "nobody"])
        names, before = detector.names, detector.query(photos / "p1.jpg")
    with CopyDetector(model, folder=tmp_path / "library") as again:
        assert again.names == names
        assert again.query(photos / "p1.jpg") == before
        result = again.add(photos)
        assert result.added == ("p3.jpg",), "only what is new"
        assert len(result.unchanged) == 6
        saved = again.save(tmp_path / "copy")
        with pytest.raises(AslError, match="is there already"):
            again.save(tmp_path / "copy")
    assert saved.is_file()
    with CopyDetector(model, folder=tmp_path / "copy") as copied:
        assert len(copied) == 7


def test_a_name_with_new_content_is_replaced(photos: Path, embedder: Embedder) -> None:
    detector = CopyDetector(embedder)
    detector.add(photos)
    (photos / "p2.jpg").write_bytes(encode(textured(77), quality=95))
    assert detector.add(photos).added == ("p2.jpg",)
    assert len(detector) == 7
    assert [match.reference for match in detector.query(textured(77))] == ["p2.jpg"]
    assert detector.query(textured(2)) == [], "the old content is gone"
    (photos / "p2.jpg").write_bytes(b"no longer an image")
    assert "p2.jpg" in dict(detector.add(photos).failures)
    assert "p2.jpg" not in detector


def numbered(folder: Path, seeds: range) -> Path:
    """A folder of photographs as a camera names them."""
    folder.mkdir()
    for number, seed in enumerate(seeds, start=1):
        (folder / f"IMG_{number}.jpg").write_bytes(encode(textured(seed, 120, 160), quality=95))
    return folder


def test_another_file_of_the_same_name_is_another_reference(
    embedder: Embedder, tmp_path: Path
) -> None:
    first, second = numbered(tmp_path / "2019", range(3)), numbered(tmp_path / "2020", range(5, 8))
    with CopyDetector(embedder, folder=tmp_path / "library", regions="none") as detector:
        detector.add(first)
        added = detector.add(second)
        names = ["IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg"]
        assert added.added == tuple(f"2020/{name}" for name in names)
        assert (added.replaced, added.unchanged, added.failures) == ((), (), ())
        assert detector.names == [*names, *added.added]
        assert detector.query(textured(1, 120, 160), k=1)[0].reference == "IMG_2.jpg"
        assert detector.query(textured(6, 120, 160), k=1)[0].reference == "2020/IMG_2.jpg"
    with CopyDetector(embedder, folder=tmp_path / "library", regions="none") as detector:
        assert detector.add(second).unchanged == added.added, "it is still the same file"
        (second / "IMG_1.jpg").write_bytes(encode(textured(9, 120, 160), quality=95))
        again = detector.add([second / "IMG_1.jpg", first / "IMG_1.jpg"])
        assert (again.replaced, again.unchanged) == (("2020/IMG_1.jpg",), ("IMG_1.jpg",))
        assert len(detector) == 6
        moved = tmp_path / "moved"
        first.rename(moved)
        assert detector.add(moved).unchanged == tuple(names), "the same names and contents"
        assert len(detector) == 6


def test_files_of_one_name_in_a_list_are_references_of_their_own(
    embedder: Embedder, tmp_path: Path
) -> None:
    folders = [numbered(tmp_path / year, range(n, n + 1)) for n, year in enumerate(("a", "b", "c"))]
    detector = CopyDetector(embedder, regions="none")
    added = detector.add([folder / "IMG_1.jpg" for folder in folders])
    assert added.added == ("IMG_1.jpg", "b/IMG_1.jpg", "c/IMG_1.jpg")


def test_a_file_that_is_given_twice_is_one_reference(
    photos: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    detector = CopyDetector(embedder, regions="none")
    done: list[tuple[int, int]] = []
    twice = [photos / "p0.jpg", "p0.jpg", photos / "p1.jpg"]
    added = detector.add(twice, progress=lambda *numbers: done.append(numbers))
    assert added.added == ("p0.jpg", "p1.jpg")
    assert (detector.names, done[-1]) == (["p0.jpg", "p1.jpg"], (3, 3))


def test_a_library_without_paths_loses_nothing(embedder: Embedder, tmp_path: Path) -> None:
    """An earlier version did not keep the path of a reference."""
    with CopyDetector(embedder, folder=tmp_path / "library", regions="none") as detector:
        detector.add(numbered(tmp_path / "2019", range(2)))
    with closing(sqlite3.connect(tmp_path / "library" / FILE)) as db, db:
        db.execute("ALTER TABLE names DROP COLUMN path")
        db.execute("UPDATE names SET crc = NULL")  # nor checksums
    with CopyDetector(embedder, folder=tmp_path / "library", regions="none") as detector:
        assert detector.add(tmp_path / "2019").unchanged == ("IMG_1.jpg", "IMG_2.jpg")
        assert len(detector.add(numbered(tmp_path / "2020", range(5, 7))).added) == 2
        assert len(detector) == 4


def test_a_name_that_is_given_replaces_and_says_so(embedder: Embedder) -> None:
    detector = CopyDetector(embedder, regions="none")
    detector.add([textured(0), textured(1)], names=["a", "b"])
    added = detector.add([textured(2), textured(1), textured(3)], names=["a", "b", "c"])
    assert (added.added, added.unchanged, added.replaced) == (("a", "c"), ("b",), ("a",))


def test_identical_pixels_match_without_any_structure(embedder: Embedder) -> None:
    ramp = np.linspace(150, 215, 300)[:, None] + np.linspace(0, 12, 400)[None]
    fog = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    detector = CopyDetector(embedder)
    blank = np.full_like(fog, 255)
    detector.add([encode(fog, "PNG"), encode(blank, "PNG")], names=["fog", "blank"])
    (match,) = detector.query(encode(fog, "TIFF"))
    assert (match.reference, match.probability, match.edits) == ("fog", 1.0, ("re-encoded",))
    assert match.reason.startswith("identical pixels")
    assert detector.query(encode(blank, "TIFF")) == [], "a blank page is no copy of another"


def test_a_detector_shows_what_it_holds(embedder: Embedder, tmp_path: Path) -> None:
    detector = CopyDetector(embedder, precision=0.9)
    detector.add(textured(0), names="a")
    hash_ = model_hash(embedder)
    assert repr(detector).startswith(f"<CopyDetector: 1 reference in memory, {hash_}, threshold ")


def test_identical_files_are_one_reference_and_the_bar_comes_to_its_end(
    photos: Path, embedder: Embedder
) -> None:
    (photos / "p2 (1).jpg").write_bytes((photos / "p2.jpg").read_bytes())
    told: list[tuple[int, int]] = []
    detector = CopyDetector(embedder, regions="none")
    added = detector.add_sources(*by_content(photos), progress=lambda *at: told.append(at))
    assert len(detector) == len(added.added) == 7
    assert told[-1] == (9, 9)
    assert told[-2][0] == 8, "broken.jpg and seven contents"


def contents(folder: Path) -> dict[str, int]:
    """Rows of what is kept of contents."""
    with closing(sqlite3.connect(folder / FILE)) as db:
        return {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("images", "parts")
        }


def test_a_replaced_content_is_forgotten_unless_another_name_has_it(
    embedder: Embedder, tmp_path: Path
) -> None:
    with CopyDetector(embedder, folder=tmp_path) as detector:
        detector.add([textured(0), textured(1)], names=["a", "b"])
        detector.add([textured(1), textured(0)], names=["a", "b"])
        assert contents(tmp_path) == {"images": 2, "parts": 2}, "swapped"
        detector.add(textured(2), names="a")
        assert contents(tmp_path) == {"images": 2, "parts": 2}, "1 is nobody's any more"
        detector.add(textured(2), names="b")
        assert contents(tmp_path) == {"images": 1, "parts": 1}
        detector.add(b"no image", names="a")
        assert contents(tmp_path) == {"images": 1, "parts": 1}, "b has it still"
        detector.add(b"no image", names="b")
        assert contents(tmp_path) == {"images": 0, "parts": 0}
        detector.add(textured(3), names="c")
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute("DELETE FROM names")  # as earlier versions left replaced contents
    CopyDetector(embedder, folder=tmp_path).close()
    assert contents(tmp_path) == {"images": 0, "parts": 0}


def test_another_model_is_refused(photos: Path, model: Path, tmp_path: Path) -> None:
    CopyDetector(model, folder=tmp_path / "library").close()
    other = build_embedder(backbone="mobilenetv3_small_050", size=64, dim=8)
    with pytest.raises(AslError, match=r"was made with .*, not with .*or choose another place"):
        CopyDetector(other, folder=tmp_path / "library")
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "library.sqlite").write_bytes(b"x" * 4096)
    with pytest.raises(AslError, match=r"library\.sqlite: damaged \(file is not a database\)"):
        CopyDetector(model, folder=tmp_path / "junk")


@pytest.mark.parametrize("name", MODELS)
def test_a_library_is_opened_with_the_packaged_model_that_made_it(
    name: str, tmp_path: Path
) -> None:
    """Who upgrades to another default loses nothing."""
    with CopyDetector(name, folder=tmp_path) as made:
        made.add(textured(0), names="a")
    with CopyDetector(folder=tmp_path) as opened:
        assert (opened.model, opened.names) == (name, ["a"])
        assert name in repr(opened)
        (match,) = opened.query(textured(0))
        assert match.reference == "a"
    other = next(model for model in MODELS if model != name)
    said = f"was made with {name}, not with {other}; give model={name}, or"
    with pytest.raises(AslError, match=said):
        CopyDetector(other, folder=tmp_path)


def test_wrong_use_is_named(embedder: Embedder, tmp_path: Path) -> None:
    detector = CopyDetector(embedder)
    for call, message in (
        (lambda: detector.add(textured(0)), "need names="),
        (lambda: detector.add(tmp_path / "nowhere"), "there is no"),
        (lambda: detector.add([b"x", b"y"], names=["a"]), "2 image"),
        (lambda: detector.add([b"x", b"y"], names=["a", "a"]), "duplicate id"),
        (lambda: detector.query(np.zeros((4, 4), np.int64)), "uint8"),
        (lambda: detector.query([textured(0)]), "use query_many for several"),
        (lambda: detector.query_many([textured(0)], k=0), "k: must be"),
        (lambda: CopyDetector(embedder, device="none"), "device: 'none' cannot be used here"),
        (lambda: detector.query(textured(0), k=0), "k: must be"),
        (lambda: detector.query(textured(0), min_probability=5), "min_probability: must be 1 or"),
        (lambda: detector.query(textured(0), k="3"), "k: expected a whole number, got '3'"),
        (lambda: detector.query(textured(0), min_probability="1"), "min_probability: expected a n"),
        (lambda: CopyDetector(embedder, precision="1"), "precision: expected a number"),
        (lambda: CopyDetector(embedder, local_candidates=-1), "local_candidates: must be 0"),
        (lambda: detector.query(tmp_path / "nowhere.jpg"), "cannot be read"),
        (lambda: CopyDetector(embedder, precision=1.0), "precision"),
        (lambda: CopyDetector(embedder, folder=__file__), r"\.py is a file, not a folder; choose"),
        (
            lambda: CopyDetector(embedder, regions="tiny"),
            "regions: expected one of none, coarse, fine",
        ),
    ):
        with pytest.raises(UsageError, match=message):
            call()
    with pytest.raises(AslError, match=r"^image: no image"):
        detector.query(b"text")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(AslError, match=r"empty\.jpg: empty file"):
        detector.query(tmp_path / "empty.jpg")
    assert detector.query(textured(0)) == [], "nothing to find is no error"


def test_a_closed_detector_is_not_called_damaged(
    embedder: Embedder, photos: Path, tmp_path: Path
) -> None:
    detector = CopyDetector(embedder, folder=tmp_path / "library")
    detector.add(photos / "p0.jpg")
    detector.close()
    detector.close()
    for call in (
        lambda: detector.query(photos / "p0.jpg"),
        lambda: list(detector.query_many(photos / "p0.jpg")),
        lambda: detector.add(photos / "p1.jpg"),
        lambda: detector.picture("p0.jpg"),
        lambda: detector.remove("p0.jpg"),
        lambda: detector.save(tmp_path / "copy"),
    ):
        with pytest.raises(AslError, match=r"is closed; (open it again|make another)") as caught:
            call()
        assert "damaged" not in str(caught.value)


def test_adds_removes_and_queries_at_once_stay_consistent(embedder: Embedder) -> None:
    detector = CopyDetector(embedder)
    detector.add([textured(seed) for seed in range(4)], names=[f"keep{seed}" for seed in range(4)])
    errors: list[BaseException] = []

    def guard(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    def churn(start: int) -> None:
        for seed in range(start, start + 5):
            detector.add(textured(seed, 120, 160), names=f"n{seed}")
            if seed % 2:
                detector.remove(f"n{seed}")

    def ask() -> None:
        for seed in range(4):
            found = detector.query(textured(seed), k=4)
            assert f"keep{seed}" in [match.reference for match in found]

    threads = [
        threading.Thread(target=guard, args=(work,))
        for work in (lambda: churn(100), lambda: churn(200), ask, ask)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert set(detector.names) == {f"keep{s}" for s in range(4)} | {
        f"n{s}" for s in (100, 102, 104, 200, 202, 204) if s % 2 == 0
    }
    assert len(detector) == len(detector.names)


def test_the_score_has_the_model_s_own_constants(embedder: Embedder, tmp_path: Path) -> None:
    own = Calibration(Score("hinge", lam=0.5, tau=0.0), slope=1.0, offset=0.0, thresholds=())
    card = {"calibration": {"model": model_hash(embedder), "hinge": own.to_card()}}
    save_embedder(embedder, tmp_path / "model.safetensors", card=card)
    detector = CopyDetector(tmp_path)
    detector.add([textured(seed) for seed in range(4)], names=[f"n{seed}" for seed in range(4)])
    found = detector.query(crop(textured(0)), min_probability=0)
    assert len(found) == 4
    assert any(match.query_log_norm > match.reference_log_norm for match in found), (
        "else this shows nothing"
    )
    for match in found:
        excess = max(0.0, match.query_log_norm - match.reference_log_norm)
        assert match.score == pytest.approx(match.cosine - 0.5 * excess, abs=1e-5)


def small_crop(image: np.ndarray) -> np.ndarray:
    """16 % of the area, below the middle."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(
        image[height // 2 : 9 * height // 10, 3 * width // 10 : 7 * width // 10]
    )


def seen_as(detector: CopyDetector, query: np.ndarray) -> list[str]:
    """The two candidates that are looked at."""
    return [match.reference for match in detector.query(query, k=2, min_probability=0)]


@pytest.fixture(scope="module")
def shipped() -> Embedder:
    try:
        return load_embedder(MODEL)
    except UsageError:
        pytest.skip("this checkout has no packaged model")


@pytest.mark.slow
def test_a_small_crop_is_found_by_parts_and_missed_without(shipped: Embedder) -> None:
    """Both ways: the photo of a crop, and the crop of a photo."""
    scenes = {f"s{seed}": render_scene(seed) for seed in range(24)}
    found: dict[str, list[int]] = {"none": [], "coarse": []}
    for regions, hits in found.items():
        wholes, crops = (
            CopyDetector(shipped, regions=regions, local_candidates=0),
            CopyDetector(shipped, regions=regions, local_candidates=0),
        )
        wholes.add(list(scenes.values()), names=list(scenes))
        crops.add([small_crop(scene) for scene in scenes.values()], names=list(scenes))
        hits.append(
            sum(name in seen_as(wholes, small_crop(scene)) for name, scene in scenes.items())
        )
        hits.append(sum(name in seen_as(crops, scene) for name, scene in scenes.items()))
    assert all(
        coarse >= none + 4 for coarse, none in zip(found["coarse"], found["none"], strict=True)
    ), found


def test_parts_are_candidates_whatever_the_whole_says(embedder: Embedder) -> None:
    """A reference with a region like the query comes first; its cosine is the whole's."""
    pictures = {f"n{seed}": textured(seed) for seed in range(12)}
    query = np.ascontiguousarray(pictures["n5"][: int(0.7 * 300), : int(0.7 * 400)])
    detector = CopyDetector(embedder, regions="coarse", local_candidates=0)
    detector.add(list(pictures.values()), names=list(pictures))
    (match,) = detector.query(query, k=1, min_probability=0)
    assert match.reference == "n5"
    plain = CopyDetector(embedder, regions="none", local_candidates=0)
    plain.add(list(pictures.values()), names=list(pictures))
    everything = {found.reference: found for found in plain.query(query, k=12, min_probability=0)}
    assert match.cosine == pytest.approx(everything["n5"].cosine, abs=1e-5)
    assert max(everything.values(), key=lambda found: found.cosine).reference != "n5", (
        "else this shows nothing"
    )
    detector.remove("n5")
    assert "n5" not in [found.reference for found in detector.query(query, k=12, min_probability=0)]
    detector.add(pictures["n5"], names="n3")
    assert detector.query(query, k=1, min_probability=0)[0].reference == "n3", (
        "replaced with its parts"
    )


def test_parts_outlive_the_process_and_missing_ones_are_made(
    photos: Path, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def candidates(detector: CopyDetector) -> list[str]:
        return [
            match.reference
            for match in detector.query(photos / "sub" / "crop-of-0.jpg", k=7, min_probability=0)
        ]

    told: list[tuple[int, int]] = []
    with CopyDetector(embedder, folder=tmp_path / "old", regions="none") as plain:
        plain.add(photos)
    with CopyDetector(embedder, folder=tmp_path / "new", regions="fine") as fine:
        fine.add(photos)
        wanted = fine.query(photos / "p2.jpg", min_probability=0)
    with CopyDetector(
        embedder, folder=tmp_path / "old", regions="fine", progress=lambda *at: told.append(at)
    ) as old:
        assert told[-1] == (7, 7), "the folder was made without parts"
        assert [match.reference for match in old.query(photos / "p2.jpg", min_probability=0)] == [
            match.reference for match in wanted
        ]
    for folder in ("old", "new"):
        with CopyDetector(
            embedder,
            folder=tmp_path / folder,
            regions="fine",
            progress=lambda *_: pytest.fail("parts were missing"),
        ) as again:
            assert again.query(photos / "p2.jpg", min_probability=0) == wanted
    # The same name for other crops: kept features of the old ones are not taken for those of the
    # new ones.
    monkeypatch.setitem(REGIONS, "fine", REGIONS["fine"][::-1])
    told.clear()
    with CopyDetector(
        embedder, folder=tmp_path / "new", regions="fine", progress=lambda *at: told.append(at)
    ):
        assert told[-1] == (7, 7)


def test_several_queries_are_answered_in_order_and_failures_say_why(
    photos: Path, embedder: Embedder
) -> None:
    detector = CopyDetector(embedder)
    detector.add(photos / "p0.jpg")
    done: list[tuple[int, int]] = []
    answers = list(
        detector.query_many(
            [crop(textured(0)), b"text", photos / "p3.jpg"],
            progress=lambda number, total: done.append((number, total)),
        )
    )
    assert [answer.query for answer in answers] == ["0", "1", str(photos / "p3.jpg")]
    assert [len(answer.matches) for answer in answers] == [1, 0, 0]
    assert [bool(answer.failure) for answer in answers] == [False, True, False]
    assert "no image" in answers[1].failure
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert answers[0].matches[0].path == photos / "p0.jpg"
    by_folder = {answer.query: answer for answer in detector.query_many(photos)}
    assert by_folder["sub/crop-of-0.jpg"].matches[0].reference == "p0.jpg"
    assert by_folder["broken.jpg"].failure.startswith("truncated")


def test_a_notebook_shows_the_pictures_and_no_markup(embedder: Embedder) -> None:
    detector = CopyDetector(embedder)
    detector.add(textured(0), names="<i>whole")
    matches = detector.query(crop(textured(0)))
    page = matches._repr_html_()
    assert page.count("data:image/jpeg;base64,/9j/") == 2
    assert "&lt;i&gt;whole<br>" in page
    assert "<i>" not in page
    assert "the original" in page
    assert repr(matches[0]).startswith("<Match <i>whole: 0.9")
    assert "no match" in detector.query(textured(5))._repr_html_()
    assert matches[0].path is None


def test_a_reference_that_is_removed_meanwhile_is_left_out(embedder: Embedder) -> None:
    class Vanishing(dict):  # type: ignore[type-arg]
        """Names of which another thread removes one as soon as it was looked for."""

        def __contains__(self, name: object) -> bool:
            return self.pop(name, None) is not None

    with CopyDetector(embedder) as detector:
        detector.add([textured(0), textured(1)], names=["a", "b"])
        detector._references.names = Vanishing(detector._references.names)
        assert [name.name for name, _ in detector.describe_many(["a", "b", "c"])] == ["a", "b"]
