"""Score other detectors on a benchmark folder with our images, search and evaluator.

  pip install onnxruntime imagehash pdqhash
  python scripts/score_peers.py BENCH PEERS --onnx sscd.onnx --size 288 --name sscd
  python scripts/score_peers.py BENCH PEERS --hash phash
  python scripts/score_peers.py BENCH PEERS --hash pdq

An ONNX descriptor takes uint8 [N, H, W, 3] RGB and returns [N, D]. A hash becomes a vector of +1
and -1 with cosine 1 - 2 (Hamming distance) / bits. PEERS/<name>/ gets the descriptors (queries.h5,
references.h5, readable by asl.evaluate and asl.search), predictions.csv and metrics.json; scores
with all queries and without hard negatives are printed. Peers are never a dependency, and nothing
is trained from them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog
from asl.data.images import ImageError, decode_image, resize_image
from asl.data.isc_hdf5 import write_descriptors
from asl.data.layouts import Benchmark, open_benchmark
from asl.data.pairs import write_pairs
from asl.index.exact.exact_search import search
from asl.metrics.evaluation import Evaluation, evaluate
from asl.scoring.score import Score
from asl.storage import atomic_text
from asl.types import AslError, Embeddings, ScoredPairs, TruthPairs

Describe = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def onnx_descriptor(path: str, size: int) -> Describe:
    """The session of an ONNX file as a function from uint8 ``[H, W, 3]`` to float32 ``[D]``."""
    import onnxruntime  # type: ignore[import-not-found, unused-ignore]

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def describe(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        output: Any = session.run(None, {name: resize_image(image, size)[None]})[0]
        return np.asarray(output[0], dtype=np.float32)

    return describe


def hash_descriptor(kind: str) -> Describe:
    """``phash`` (64 bits, imagehash) or ``pdq`` (256 bits, pdqhash) as a vector of +1 and -1."""
    if kind == "phash":
        import imagehash  # type: ignore[import-not-found, unused-ignore]

        return lambda image: np.where(
            imagehash.phash(Image.fromarray(image)).hash.ravel(), 1, -1
        ).astype(np.float32)
    import pdqhash  # type: ignore[import-not-found, unused-ignore]

    return lambda image: np.where(pdqhash.compute(image)[0].astype(bool), 1, -1).astype(np.float32)


def describe_all(catalog: Catalog, describe: Describe, title: str) -> Embeddings:
    """Descriptors of the readable images; those that are not are named on standard error."""
    ids, rows = [], []
    with progress_bar(title, unit="images") as update:
        for row, name in enumerate(catalog.ids.tolist()):
            try:
                rows.append(describe(decode_image(catalog.read(row))))
                ids.append(name)
            except ImageError as error:
                print(f"{name}: {error.reason}", file=sys.stderr)
            update(row + 1, len(catalog))
    return Embeddings.from_features(np.array(ids), np.stack(rows))


def without_hard_negatives(truth: TruthPairs) -> TruthPairs:
    """The same truth over the queries that are copies or ordinary distractors."""
    easy = {name: kind for name, kind in truth.kinds.items() if not kind.startswith("hard:")}
    pairs = list(zip(truth.query_ids.tolist(), truth.reference_ids.tolist(), strict=True))
    return TruthPairs.from_pairs(pairs, other_queries=sorted(easy), kinds=easy)


def score(found: ScoredPairs, benchmark: Benchmark) -> dict[str, Evaluation]:
    """The list as it is, and without the queries that are hard negatives."""
    truths = {
        "all queries": benchmark.truth,
        "without hard negatives": without_hard_negatives(benchmark.truth),
    }
    results = {}
    for name, truth in truths.items():
        kept = found.take(np.flatnonzero(np.isin(found.query_ids, list(truth.kinds))))
        results[name] = evaluate(
            ScoredPairs.from_ids(kept.query_ids, kept.reference_ids, kept.scores), truth
        )
    return results


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--onnx", help="descriptor as an ONNX file")
    parser.add_argument("--size", type=int, default=288, help="pixels of its square input")
    parser.add_argument("--hash", choices=("phash", "pdq"))
    parser.add_argument(
        "--name", help="folder of its results (default: the file's stem or the hash)"
    )
    options = parser.parse_args()
    if bool(options.onnx) == bool(options.hash):
        parser.error("give either --onnx FILE or --hash KIND")
    name = options.name or options.hash or Path(options.onnx).stem
    describe = (
        hash_descriptor(options.hash)
        if options.hash
        else onnx_descriptor(options.onnx, options.size)
    )
    try:
        benchmark = open_benchmark(options.benchmark)
        queries = describe_all(benchmark.queries, describe, f"{name}: queries")
        references = describe_all(benchmark.references, describe, f"{name}: references")
        folder = options.output / name
        write_descriptors(queries, folder / "queries.h5")
        write_descriptors(references, folder / "references.h5")
        found = search(
            queries.as_queries(), references.as_references(), score=Score("cosine"), k=10
        )
        results = score(found, benchmark)
        write_pairs(found, folder / "predictions.csv")
        with atomic_text(folder / "metrics.json") as file:
            json.dump({key: result.to_json() for key, result in results.items()}, file, indent=1)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for key, result in results.items():
        print(
            f"{name}, {key}: µAP {result.uap:.3f}, R@P90 {result.recall_at_p90:.3f}, "
            f"R@1 {result.recall_at_1:.3f}, "
            f"R@10 {result.recall_at_10:.3f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
