"""Files that version 0.1.0 wrote before the rooms were rebuilt are opened by today's code.

The fixtures are never made anew with later code (``make_fixtures.py`` says which commit wrote
them). Where a test fails, the code has to learn to read what users have on their disks; a new
format gets a fixture of its own.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow.parquet import read_table

from asl.cli import main
from asl.console.key_names import RENAMED
from asl.scoring.score import CLEAR_DIFFERENCE

FIXTURES = Path(__file__).with_name("fixtures")
ROOT = Path(__file__).resolve().parents[2]
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text())
CHANGED = 1_700_000_000  # the images' time of change, which caches remember and git does not
USED = 1_600_000_000  # that of the other files, to see which were written again
NAMES = ["0.jpg", "1.jpg", "2.jpg", "sub/crop-of-0.jpg"]

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's, Hydra's and those of milvus-lite


@pytest.fixture(autouse=True)
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the fixtures as the current folder, with the times of change that they had."""
    folder = tmp_path / "old"
    shutil.copytree(FIXTURES, folder)
    for path in folder.rglob("*"):
        changed = CHANGED if path.suffix == ".jpg" else USED
        os.utime(path, (changed, changed))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", sys.argv)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield folder
    root.handlers[:], root.level = handlers, level  # Hydra has put its own there
    logging.captureWarnings(False)


def asl(*words: str) -> None:
    """Run the command line in this process; it must succeed."""
    code: object = 0
    try:
        main(words)
    except SystemExit as stopped:
        code = stopped.code
    assert not code, f"asl {' '.join(words)}"


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def read_json(path: str) -> Any:
    return json.loads(Path(path).read_text())


def contents(folder: str) -> dict[str, bytes]:
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def untouched(path: Path) -> bool:
    """Whether a file is still the fixture's: what is of no use is made anew."""
    return path.stat().st_mtime == USED


def of_today(name: str) -> list[dict[str, str]]:
    """Rows of a search; 0.1.0 named the larger norm the original however little it was larger."""
    expected: list[dict[str, str]] = EXPECTED["search"][name]
    apart = [float(row["reference_log_norm"]) - float(row["query_log_norm"]) for row in expected]
    assert max(map(abs, apart)) < CLEAR_DIFFERENCE
    return [{**row, "direction": "unclear"} for row in expected]


def assert_close(found: Any, expected: Any, *, to: float = 1e-3) -> None:
    """Compare nested values; texts that are numbers are numbers."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_close(found[key], value, to=to)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, to=to)
    elif (number := as_number(expected)) is not None:
        assert as_number(found) == pytest.approx(number, abs=to)
    else:
        assert found == expected


def without_intervals(scores: Any) -> Any:
    """Leave out intervals: 0.1.0 computed none of kinds."""
    if not isinstance(scores, dict):
        return scores
    items = scores.items()
    return {name: without_intervals(value) for name, value in items if name != "intervals"}


def pair_of(row: dict[str, str]) -> tuple[str, str]:
    return row["query_id"], row["reference_id"]


def as_number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def feature_of_wedge(model: str) -> Any:
    """What a model says of an image whose channels are grey wedges in three directions."""
    import torch

    from asl.models import load_embedder

    ramp = torch.linspace(0, 255, 32).to(torch.uint8)
    wedge = [channel.expand(32, 32) for channel in (ramp, ramp.flip(0), ramp[:, None])]
    with torch.inference_mode():
        return load_embedder(model)(torch.stack(wedge)[None])[0].numpy()


def test_a_model_with_its_card() -> None:
    from asl.models.model_card import read_card

    card = read_card("model/model.safetensors")
    assert card["data"] == "generated scenes"
    assert card["calibration"]["model"] == EXPECTED["model"]["hash"]
    assert card["calibration"]["hinge"]["thresholds"]
    np.testing.assert_allclose(feature_of_wedge("model"), EXPECTED["model"]["wedge"], atol=1e-4)


def test_a_store_with_regions_and_nothing_is_embedded_again() -> None:
    from asl.features import FeatureStore

    store = FeatureStore.open("stores/photos")
    store.verify()
    assert store.ids.tolist() == NAMES
    assert store.manifest["model"] == EXPECTED["model"]["hash"]
    assert [name for name, _ in store.failures] == ["broken.jpg"]
    parts = sorted(Path("stores/photos/regions").iterdir())
    assert len(parts) == 6
    for path in (Path("stores/photos"), *parts):
        found = FeatureStore.open(path).features()
        np.testing.assert_allclose(found, EXPECTED["features"][str(path)], atol=1e-6)
    before = contents("stores/photos")
    keys = ["images=photos", "model=model", "regions=coarse", "workers=0"]
    asl("extract", *keys, "output=stores/photos")
    assert contents("stores/photos") == before


def test_parts_of_a_job_are_joined() -> None:
    asl("extract", "images=photos", "model=model", "output=stores/parts", "merge=2")
    whole = {name: data for name, data in contents("stores/photos").items() if "/" not in name}
    joined = contents("stores/parts")
    manifest = json.loads(joined.pop("manifest.json"))
    assert len(manifest.pop("sha256")) == 64, "0.1.0 wrote none"
    assert manifest == json.loads(whole.pop("manifest.json"))
    assert joined == whole


def test_a_store_with_replaced_and_forgotten_images() -> None:
    from asl.features import FeatureStore

    store = FeatureStore.open("stores/changed")
    assert sorted(store.ids.tolist()) == [name for name in NAMES if name != "1.jpg"]
    assert store.forgotten() == {"1.jpg"}
    vectors = dict(zip(store.ids.tolist(), store.features(), strict=True))
    same = dict(zip(NAMES, EXPECTED["features"]["stores/photos"], strict=True))
    for name in ("0.jpg", "2.jpg", "sub/crop-of-0.jpg"):
        of = same["0.jpg" if name == "2.jpg" else name]  # 2.jpg was replaced by a copy of 0.jpg
        np.testing.assert_allclose(vectors[name], of, atol=1e-4, err_msg=name)


def test_an_index_and_the_calibration_of_its_model() -> None:
    found = np.load("index/00000001.vectors.npy")
    np.testing.assert_allclose(found, EXPECTED["features"]["index"], atol=1e-6)
    sides = ["queries=stores/queries", "references=index", "model=model"]
    asl("search", *sides, "k=3", "output=again.csv")
    assert_close(rows("again.csv"), of_today("pairs/hinge.csv"))
    assert "probability" in rows("again.csv")[0]


def test_a_search_in_a_process_of_its_own() -> None:
    sides = ["queries=stores/queries", "references=index", "model=model"]
    words = [sys.executable, "-m", "asl.search", *sides, "k=3", "output=again.parquet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(words, env=environment, check=True, timeout=200)
    found, before = read_table("again.parquet"), read_table("pairs/hinge.parquet")
    earlier = [{**row, "direction": "unclear"} for row in before.to_pylist()]  # as of_today
    assert_close(found.to_pylist(), earlier)


def test_the_companion_of_an_index_is_searched() -> None:
    sides = ["queries=stores/queries", "references=index", "model=model"]
    asl("search", *sides, "k=3", "factory=HNSW8", "recall_queries=0", "output=again.csv")
    assert_close(rows("again.csv"), of_today("approximate/pairs.csv"))
    (companion,) = Path("index").glob("*.faiss")
    assert untouched(companion)


def test_an_index_gives_up_references() -> None:
    from asl.index.saved_index import SavedIndex

    index = SavedIndex.open("index")
    assert sorted(index.ids.tolist()) == NAMES
    smaller = index.remove(["1.jpg"])
    assert sorted(smaller.ids.tolist()) == [name for name in NAMES if name != "1.jpg"]
    assert smaller.manifest["model"] == EXPECTED["model"]["hash"]


def test_a_verified_search_uses_the_kept_local_features() -> None:
    kept = [path for path in Path("search/verified.csv.features").rglob("*") if path.is_file()]
    assert "local.npz" in {path.name for path in kept}
    sides = ["queries=queries", "references=photos", "model=model", "workers=0"]
    asl(
        "search",
        *sides,
        "score=verified",
        "k=2",
        "local_candidates=1",
        "output=search/verified.csv",
    )
    # of another decision: probabilities differ, not what is a copy; a mirrored one had a direction
    mirrored = ("mirrored.jpg", "1.jpg")
    expected = [
        {**row, "direction": "unclear"}
        if (row["query_id"], row["reference_id"]) == mirrored
        else row
        for row in EXPECTED["search"]["search/verified.csv"]
    ]
    assert_close(rows("search/verified.csv"), expected, to=0.1)
    assert all(untouched(path) for path in kept)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_pairs_and_truth_are_scored_as_before(suffix: str) -> None:
    keys = [f"predictions=pairs/hinge.{suffix}", "truth=queries/truth.csv", "bootstrap=20"]
    asl("evaluate", *keys, "output=again")
    found, before = read_json("again/metrics.json"), read_json("pairs/metrics.json")
    assert found.keys() == before.keys() | {"sha256"}
    scores = without_intervals(found["scores"])
    assert_close(scores, without_intervals(before["scores"]), to=1e-6)


def test_the_truth_of_edited_copies() -> None:
    from asl.data.truth import read_truth

    truth = read_truth("edited/truth.csv")
    assert truth.query_ids.tolist() == [f"Q{number:06d}" for number in range(4)]
    assert truth.reference_ids.tolist() == NAMES
    assert set(truth.kinds.values()) == {"light"}


def test_lists_of_hard_pairs() -> None:
    from asl.data.hard_pair_lists import read_hard_pairs

    assert read_hard_pairs(Path("pairs/directed.csv")) == [
        ("a", "b", False),
        ("c/d", 'e, "f"', True),
    ]
    plain = [(f"T{number:06d}", f"T{number:06d}b", False) for number in range(2)]
    assert read_hard_pairs(Path("bench/hard_pairs.csv")) == plain


@pytest.mark.parametrize(
    "sides",
    [["queries=isc/submission.h5"], ["queries=isc/queries.h5", "references=isc/references.h5"]],
    ids=["submission", "descriptors"],
)
def test_hdf5_of_the_challenge(sides: list[str]) -> None:
    keys = ["truth=isc/truth.csv", "score=cosine", "k=2", "bootstrap=20"]
    asl("evaluate", *sides, *keys, "output=again")
    before = rows("isc/scored/predictions/cosine.csv")
    assert_close(rows("again/predictions/cosine.csv"), before, to=1e-5)
    before = read_json("isc/scored/metrics.json")["scores"]
    again = read_json("again/metrics.json")["scores"]
    assert_close(without_intervals(again), without_intervals(before), to=1e-6)


def test_a_benchmark_folder(capsys: pytest.CaptureFixture[str]) -> None:
    asl("data", "check", "folder", "bench", "--decode", "all")
    said = capsys.readouterr().out
    for line in ("queries: 6", "references: 5", "train: 6", "hard_pairs: 2", "true pairs: 3"):
        assert line in said


def test_a_training_goes_on_from_its_checkpoint() -> None:
    words = Path("training/0/.hydra/overrides.yaml").read_text().splitlines()
    keys = [word.removeprefix("- ").strip("'") for word in words]
    for old, new in RENAMED["train"].items():
        keys = [key.replace(f"{old}=", f"{new}=") for key in keys]
    keys = [key for key in keys if not key.startswith("trainer.max_epochs=")]
    assert "output=training/0" in keys
    before = rows("training/0/metrics.csv")
    asl("train", *keys, "trainer.max_epochs=3")
    logged = rows("training/0/metrics.csv")
    assert [row["step"] for row in logged[: len(before)]] == [row["step"] for row in before]
    after = logged[len(before) :]
    assert [int(row["step"]) for row in after] == EXPECTED["training"]["steps"]
    assert int(after[0]["step"]) == int(before[-1]["step"]) + 1
    assert {int(float(row["epoch"])) for row in after} == {2}
    losses = [float(row["train/loss"]) for row in after]
    assert losses == pytest.approx(EXPECTED["training"]["loss"], rel=1e-2)
    found = feature_of_wedge("training/0")
    np.testing.assert_allclose(found, EXPECTED["training"]["wedge"], atol=2e-3)


def test_the_table_of_a_sweep() -> None:
    script = str(ROOT / "scripts" / "sweep_table.py")
    words = [sys.executable, script, "training", "--scores", "hinge", "--output", "table.csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(words, env=environment, check=True, timeout=100)
    (row,) = rows("table.csv")
    expected = read_json("training/0/metrics.json")["scores"]["hinge"]["uap"]
    assert float(row["hinge_uap"]) == pytest.approx(expected)


def scan_again() -> list[dict[str, str]]:
    keys = ["--model", "model", "--regions", "coarse", "--workers", "1", "--gallery", "0"]
    asl("scan", "photos", "--output", "scan", *keys, "--max-failure-rate", "1")
    summary = read_json("scan/summary.json")
    assert (summary["embedded"], summary["reused"], summary["unreadable"]) == (0, 4, 1)
    return rows("scan/copies.csv")


def test_a_scan_knows_its_files_and_details() -> None:
    """Verdicts of an older verifier are computed again; those of today's are remembered."""
    (cache,) = Path("scan").glob("cache-*.sqlite")
    mark = "a remembered reason"
    before = rows("scan/copies.csv")
    assert len(before) == 1
    with closing(sqlite3.connect(cache)) as file:
        known = kept(file)
    again = scan_again()
    assert [row["reason"] for row in again] != [mark]
    with closing(sqlite3.connect(cache)) as file, file:
        for first, second, text in file.execute("SELECT first, second, verdict FROM verdicts"):
            changed = json.dumps({**json.loads(text), "reason": mark})
            pair = "WHERE first = ? AND second = ?"
            change = f"UPDATE verdicts SET verdict = ?, crc = NULL {pair}"
            file.execute(change, (changed, first, second))
    after = scan_again()
    assert [row["reason"] for row in after] == [mark], "verdicts are remembered"
    for row in (*before, *again, *after):  # the photos lay somewhere else
        for side in ("original", "copy"):
            row[side] = row[side].split("photos/")[1]
        row["reason"] = ""
    assert_close(after, again, to=1e-6)
    assert [(row["original"], row["copy"]) for row in after] == [
        (row["original"], row["copy"]) for row in before
    ]
    with closing(sqlite3.connect(cache)) as file:
        assert kept(file) == known, "regions and details are remembered, too"
    assert untouched(cache.with_name(f"{cache.stem}-votes.npz"))
    assert [Path(row["path"]).name for row in rows("scan/unreadable.csv")] == ["broken.jpg"]


def kept(file: sqlite3.Connection) -> list[Any]:
    """Read images and regions of an image store; verdicts belong to one version of the verifier."""
    columns = {
        "images": "digest, feature, picture, facts",
        "parts": "digest, regions, features",
    }
    asked = [f"SELECT {names} FROM {of} ORDER BY {names}" for of, names in columns.items()]
    found = [file.execute(sql).fetchall() for sql in asked]
    assert [len(of) for of in found] == [5, 2 * 4]
    return found


def test_the_library_of_a_detector() -> None:
    from asl import CopyDetector

    with CopyDetector("model", folder="library") as detector:
        assert detector.names == EXPECTED["library"]["names"]
        name, facts = detector.describe("0.jpg")
        assert (facts.width, facts.height, facts.format) == (96, 72, "JPEG")
        assert detector.picture(name.name)[:2] == b"\xff\xd8"
        matches = detector.query("queries/crop.jpg", min_probability=0.5)
        found = [[it.reference, it.score, it.probability, it.direction] for it in matches]
        known = [match for match in EXPECTED["library"]["matches"] if match[2] >= 0.5]
        assert len(known) == 2
        assert_close(found, known, to=0.05)  # of another verifier
        added = detector.add("photos")
        assert (added.added, sorted(added.unchanged)) == ((), NAMES)
        assert detector.remove("1.jpg") == 1
    with CopyDetector("model", folder="library") as detector:
        assert detector.names == [name for name in NAMES if name != "1.jpg"]


def test_a_decision_of_the_verifier() -> None:
    from asl.matching.decision.trees import load_model
    from asl.matching.values import EVIDENCE

    model = load_model(Path("verifier/verifier.json"))
    expected = EXPECTED["verifier"]
    evidence = [[row.get(name, 0.0) for name in EVIDENCE] for row in expected["evidence"]]
    found = model.probability(np.array(evidence))
    np.testing.assert_allclose(found, expected["probability"], atol=1e-9)
    assert model.card == {"note": "a fixture"}


def test_a_reproduction_goes_on_from_its_stages() -> None:
    before = rows("reproduced/predictions/verified.csv")
    metrics = read_json("reproduced/metrics.json")["scores"]
    stages = [path for kind in ("*.npz", "*.npy") for path in Path("reproduced").rglob(kind)]
    assert len(stages) == 2 + 3, "prepared references of the verifier, and features"
    keys = ["verify=true", "candidates=1", "local_candidates=1", "bootstrap=20", "workers=0"]
    asl("reproduce", "benchmark=folder", "root=bench", "model=model", *keys, "output=reproduced")
    assert all(untouched(path) for path in stages)
    # of another verifier, with candidates of another kind beside the earlier ones
    now = {pair_of(row): row for row in rows("reproduced/predictions/verified.csv")}
    assert {pair_of(row) for row in before} <= now.keys()
    again = read_json("reproduced/metrics.json")["scores"]
    assert again.keys() == metrics.keys()
    assert_close(without_intervals(again["hinge"]), without_intervals(metrics["hinge"]), to=1e-6)
    assert again["verified"]["uap"] >= metrics["verified"]["uap"]


def test_a_collection_of_milvus_lite() -> None:
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    sides = ["queries=stores/queries", "references=milvus+milvus/library.db", "model=model"]
    asl("search", *sides, "k=3", "output=again.csv")
    assert_close(rows("again.csv"), of_today("pairs/hinge.csv"))


def test_no_fixture_holds_a_path_of_a_machine() -> None:
    for path in FIXTURES.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for place in (b"work", b"root", b"home", b"Users"):
            assert b"/" + place + b"/" not in data, path
        assert b"site-packages" not in data, path
