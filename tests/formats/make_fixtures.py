"""Make the fixtures: written by the code of version 0.1.0 before the rooms were rebuilt.

Run by hand, once, with the code of commit e1e5688 (``git show e1e5688``):

  python tests/formats/make_fixtures.py

It need not work with later code: the point of the fixtures is that they are old, and
``test_old_formats.py`` opens them with whatever the code is now. Everything is made in a neutral
folder, with relative paths, so that no path of a machine gets into a file. Every image has the
same time of change, which stamps, fingerprints and caches remember (the test sets it again, as
git does not keep it).
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent / "fixtures"
ROOT = Path(__file__).resolve().parents[2]
WORK = Path(tempfile.gettempdir()) / "asl-formats"
CHANGED = 1_700_000_000  # time of change of every image
KEPT = (
    "photos", "queries", "bench", "training", "model", "stores", "index", "search", "scan",
    "library", "isc", "verifier", "pairs", "edited", "reproduced", "milvus",
)  # fmt: skip
# Written for people, or by Hydra with paths of the machine; no code reads it.
LEFT_OUT = ("*.html", "report.md", "logs", "hydra.yaml", "*.lock", "LOCK", "sheet.*")
TINY = "{layers:[1,1,1,1],channels:[4,4,8,8],stem_width:4}"


def main() -> None:
    """Make every fixture anew."""
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.rmtree(HERE, ignore_errors=True)
    WORK.mkdir()
    os.chdir(WORK)
    expected: dict[str, object] = {}
    make_photos()
    make_benchmark()
    expected["training"] = make_training()
    expected["model"] = make_model()
    make_stores()
    expected["search"] = make_searches()
    make_scan()
    make_library(expected)
    make_hdf5()
    expected["verifier"] = make_verifier()
    make_hard_pairs()
    make_milvus()
    expected["features"] = features_of()
    for name in KEPT:
        if Path(name).exists():
            shutil.copytree(name, HERE / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    text = json.dumps(expected, indent=1) + "\n"
    (HERE / "expected.json").write_text(text)
    size = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{size / 2**20:.2f} MiB in {HERE}")


def asl(*words: str) -> None:
    """Run a verb of the command."""
    print("asl", *words, flush=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-m", "asl", *words], check=True, env=environment)


def same_time(folder: Path) -> None:
    """Give every file below a folder the time of change that the test will give it."""
    for path in folder.rglob("*"):
        os.utime(path, (CHANGED, CHANGED))


def write(path: Path, image: np.ndarray, quality: int = 80) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else []
    cv2.imwrite(str(path), image[..., ::-1], options)


def make_photos() -> None:
    """Three scenes, a crop of one, a broken file; queries of two of them, and of nothing."""
    from asl.data.scenes import render_scene

    scenes = [render_scene(number, height=72, width=96) for number in range(5)]
    for number in range(3):
        write(Path(f"photos/{number}.jpg"), scenes[number])
    write(Path("photos/sub/crop-of-0.jpg"), scenes[0][8:62, 10:84])
    Path("photos/broken.jpg").write_bytes(Path("photos/2.jpg").read_bytes()[:900])
    write(Path("queries/crop.jpg"), scenes[0][5:65, 8:88])
    write(Path("queries/mirrored.jpg"), scenes[1][:, ::-1], 70)
    write(Path("queries/none.jpg"), scenes[4])
    lines = [
        "query_id,reference_id,kind",
        "crop.jpg,0.jpg,crop",
        "mirrored.jpg,1.jpg,mirror",
        "none.jpg,,distractor",
    ]
    Path("queries/truth.csv").write_text("\n".join(lines) + "\n")
    same_time(Path("photos"))
    same_time(Path("queries"))


def make_benchmark() -> None:
    """A benchmark folder as ``data=sample`` makes one, and a query set of ``asl edit``."""
    from asl.data.benchmark import BenchmarkPlan
    from asl.data.sample import SamplePlan, sample_benchmark

    one = {"distractor_queries": 1, "reverse_crops": 1, "group_negatives": 1}
    counts = BenchmarkPlan(copies=2, **one, quality=80)
    scenes = {"train": 4, "looks": 2, "photos": 5, "groups": 1}
    plan = SamplePlan(**scenes, benchmark=counts, height=64, width=80)
    shutil.copytree(sample_benchmark(Path("cache"), plan=plan), "bench")
    same_time(Path("bench"))
    asl("edit", "images=photos", "output=edited", "edits=light", "views=1", "size=48")


def train(*more: str) -> None:
    """One epoch and no more; ``more`` may say so."""
    keys = [
        "data=folder",
        "data.train=photos",
        "data.benchmark=bench",
        "data.identities=2",
        "data.views=2",
    ]
    keys += [
        "data.workers=0",
        "data.sizes=[32]",
        "data.size_starts=[0]",
        "edits=light",
        "loss=cross_batch",
    ]
    keys += [
        "loss.parts.contrastive.size=16",
        "loss.weights.norm_ratio=1",
        "trainer.accelerator=cpu",
    ]
    keys += [
        "trainer.enable_progress_bar=false",
        "trainer.ema=0.5",
        "trainer.log_every_n_steps=1",
        "trainer.channels_last=false",
    ]
    keys += ["model.backbone=resnet10t", "model.pretrained=false", "model.size=32", "model.dim=8"]
    keys += ["optim.lr=0.002", "trainer.final=0.5"]  # what is not resumed shall be seen
    asl("train", *keys, f"model.options={TINY}", *more)


def make_training() -> dict[str, object]:
    """A training of two epochs; what it comes to when it goes on for a third."""
    train("trainer.max_epochs=2", "output=training/0")
    Path("training/0/.hydra/config.yaml").unlink()  # the same as config.yaml
    shutil.copytree("training", "resumed")
    train("trainer.max_epochs=3", "output=resumed/0")
    with Path("resumed/0/metrics.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    return {"steps": steps, "loss": losses(Path("resumed/0")), **vectors("resumed/0")}


def losses(run: Path) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]


def vectors(model: str) -> dict[str, object]:
    """What a model is called, and its features of a grey wedge."""
    import torch

    from asl.models import load_embedder, model_hash

    embedder = load_embedder(model)
    with torch.inference_mode():
        features = embedder(wedge(embedder.preprocessing.size))
    return {"hash": model_hash(embedder), "wedge": features[0].double().numpy().round(6).tolist()}


def wedge(size: int) -> Any:
    """An image whose three channels are grey wedges in three directions."""
    import torch

    ramp = torch.linspace(0, 255, size).to(torch.uint8)
    channels = [ramp, ramp.flip(0), ramp[:, None]]
    return torch.stack([channel.expand(size, size) for channel in channels])[None]


def make_model() -> dict[str, object]:
    """A model with a card and calibrations, stored in half precision."""
    script = str(ROOT / "scripts" / "ship_model.py")
    words = [
        sys.executable,
        script,
        "training/0",
        "bench",
        "model/model.safetensors",
        "--data",
        "generated scenes",
    ]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return vectors("model")


def make_stores() -> None:
    """Stores with regions, of parts of a job, with replaced and forgotten images; an index."""
    keys = ["model=model", "workers=0", "shard_size=2", "max_failure_rate=1"]
    asl("extract", "images=photos", "output=stores/photos", *keys, "regions=coarse")
    asl("extract", "images=queries", "output=stores/queries", *keys)
    for part in (1, 2):
        asl("extract", "images=photos", "output=stores/parts", *keys, f"part={part}/2")
    shutil.copytree("photos", "changing")
    asl("extract", "images=changing", "output=stores/changed", *keys)
    shutil.copy("photos/0.jpg", "changing/2.jpg")
    os.utime("changing/2.jpg", (CHANGED + 1, CHANGED + 1))
    Path("changing/1.jpg").unlink()
    asl("extract", "images=changing", "output=stores/changed", *keys, "prune=0.5")
    asl("extract", "images=photos", "output=stores/photos", *keys, "index=index")


def make_searches() -> dict[str, object]:
    """Pairs in both formats, the companion of an index, what a verified search keeps, metrics."""
    sides = ["queries=stores/queries", "references=index", "model=model"]
    asl("search", *sides, "k=3", "output=pairs/hinge.csv")
    asl("search", *sides, "k=3", "output=pairs/hinge.parquet")
    asl(
        "search", *sides, "k=3", "factory=HNSW8", "recall_queries=0", "output=approximate/pairs.csv"
    )
    images = ["queries=queries", "references=photos", "model=model", "workers=0"]
    asl(
        "search",
        *images,
        "score=verified",
        "k=2",
        "local_candidates=1",
        "output=search/verified.csv",
    )
    scored = ["truth=queries/truth.csv", "bootstrap=20", "output=pairs"]
    asl("evaluate", "predictions=pairs/hinge.csv", *scored)
    keys = ["verify=true", "candidates=1", "local_candidates=1", "bootstrap=20", "workers=0"]
    asl("reproduce", "benchmark=folder", "root=bench", "model=model", *keys, "output=reproduced")
    prepared = Path("reproduced/local_features").rglob("*.npz")
    for path in sorted(prepared, key=lambda path: path.stat().st_size)[2:]:
        path.unlink()  # two are enough to see that they are used
    found = {}
    for name in ("pairs/hinge.csv", "approximate/pairs.csv", "search/verified.csv"):
        found[name] = list(csv.DictReader(io.StringIO(Path(name).read_text())))
    return found


def make_scan() -> None:
    """A scan's output: tables, summary, and the cache with details, regions and verdicts."""
    keys = ["--model", "model", "--regions", "coarse", "--workers", "1", "--gallery", "0"]
    for shape in ("parquet", "json", "csv"):
        more = ["--quiet", "--max-failure-rate", "1", "--format", shape]
        asl("scan", "photos", "--output", "scan", *keys, *more)


def make_library(expected: dict[str, object]) -> None:
    """The library of ``asl serve`` and of a detector."""
    from asl import CopyDetector

    with CopyDetector("model", folder="library") as detector:
        detector.add("photos")
        matches = detector.query("queries/crop.jpg", min_probability=0.0)
        listed = [[it.reference, it.score, it.probability, it.direction] for it in matches]
        expected["library"] = {"names": detector.names, "matches": listed}


def make_hdf5() -> None:
    """The files of the ISC 2021 challenge."""
    from asl.features.store import FeatureStore

    from asl.data.isc_hdf5 import write_descriptors, write_submission

    Path("isc").mkdir()
    queries = FeatureStore.open("stores/queries").embeddings()
    references = FeatureStore.open("stores/photos").embeddings()
    write_descriptors(queries, "isc/queries.h5")
    write_descriptors(references, "isc/references.h5")
    write_submission(queries.as_queries(), references.as_references(), "isc/submission.h5")
    Path("isc/truth.csv").write_text("query_id,reference_id\ncrop,0\nmirrored,1\nnone,\n")
    keys = ["truth=isc/truth.csv", "score=cosine", "k=2", "bootstrap=20"]
    asl("evaluate", "queries=isc/submission.h5", *keys, "output=isc/scored")


def make_verifier() -> dict[str, object]:
    """A decision of three small trees, and evidence to try it on."""
    from asl.matching.decide import load_model
    from asl.matching.fit import fit_trees

    from asl.matching.values import EVIDENCE

    rng = np.random.default_rng(0)
    evidence = rng.uniform(size=(400, len(EVIDENCE))).round(2)
    labels = evidence[:, EVIDENCE.index("corr_low")] + evidence[:, EVIDENCE.index("tone")] > 1
    small = {"trees": 3, "leaves": 5, "learning_rate": 0.5}
    model = fit_trees(evidence, labels, **small, card={"note": "a fixture"})
    Path("verifier").mkdir()
    Path("verifier/verifier.json").write_text(model.to_json() + "\n", encoding="utf-8")
    rows = [dict(zip(EVIDENCE, row, strict=True)) for row in evidence[:4].tolist()]
    probability = load_model(Path("verifier/verifier.json")).probability(evidence[:4])
    return {"evidence": rows, "probability": probability.tolist()}


def make_hard_pairs() -> None:
    """A list of look-alikes of which some are directed; the benchmark's has no such column."""
    from asl.data.hard_pairs import HardPair, write_hard_pairs

    write_hard_pairs([("a", "b"), HardPair("c/d", 'e, "f"', True)], Path("pairs/directed.csv"))


def make_milvus() -> None:
    """A collection in a file, where milvus-lite is installed."""
    try:
        import milvus_lite  # noqa: F401
    except ImportError:
        return
    Path("milvus").mkdir()
    keys = ["images=photos", "model=model", "workers=0", "max_failure_rate=1"]
    asl("extract", *keys, "output=stores/photos", "index=milvus+milvus/library.db")


def features_of() -> dict[str, object]:
    """What the stores and the index hold, read with numpy alone."""
    found: dict[str, object] = {}
    for path in sorted(Path("stores").rglob("manifest.json")):
        manifest = json.loads(path.read_text())
        shards = [np.load(path.parent / f"{shard['name']}.npy") for shard in manifest["shards"]]
        found[str(path.parent)] = np.concatenate(shards).astype(float).round(6).tolist()
    found["index"] = np.load("index/00000001.vectors.npy").astype(float).round(6).tolist()
    return found


if __name__ == "__main__":
    main()
