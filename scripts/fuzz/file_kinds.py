"""Kinds of files that asl writes: how to write one, and how to read all of its content."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asl.app.library.facts import Facts
from asl.app.library.image_store import ImageStore
from asl.app.library.records import Name, Record
from asl.app.library.vector_rows import MappedRows, check_rows, digest_bytes
from asl.data.hard_pair_lists import read_hard_pairs, write_hard_pairs
from asl.data.isc_hdf5 import (
    read_descriptors,
    read_submission,
    write_descriptors,
    write_submission,
)
from asl.data.pairs import read_pairs, write_pairs
from asl.data.truth import read_truth, write_truth
from asl.errors import AslError
from asl.features.feature_store import FeatureStore
from asl.index.engines.faiss_factory import FaissFactoryIndex
from asl.index.saved_index import SavedIndex
from asl.matching.align.prepare import Prepared
from asl.matching.candidates.coded_local_index import (
    CODES,
    coded_local_index,
    image_key,
    select_pieces,
)
from asl.matching.candidates.exact_local_index import ExactLocalIndex
from asl.matching.candidates.feature_values import LocalFeatures
from asl.matching.candidates.piece_files import read_pieces
from asl.matching.candidates.quantiser import load_quantiser
from asl.matching.candidates.votes import rank_by_votes
from asl.matching.decision.trees import load_model
from asl.matching.run.disk_cache import Cache
from asl.matching.values import Settings
from asl.storage import is_as_written, read_json, write_json
from asl.types import Embeddings, ScoredPairs, TruthPairs

_RNG = np.random.default_rng(0)
_IMAGES = Embeddings.from_features(
    [f"folder/image-{number:03d}.jpg" for number in range(24)],
    _RNG.normal(size=(24, 32)).astype(np.float32),
)
_VECTORS = 240  # rows of a library
_DIGESTS = [hashlib.sha256(name.encode()).hexdigest() for name in _IMAGES.ids.tolist()]


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        write: writes into a folder.
        read: (folder, check) -> a value that is equal for equal content; ``check`` compares every
            checksum. An ``AslError`` refuses the file.
    """

    write: Callable[[Path], object]
    read: Callable[[Path, bool], Any]


def digest(*values: Any) -> str:
    """Hash values: bytes, arrays, texts, numbers and lists of them."""
    total = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            total.update(f"{value.dtype} {value.shape}".encode())
            total.update(np.ascontiguousarray(value).tobytes())
        else:
            total.update(value if isinstance(value, bytes) else repr(value).encode())
        total.update(b"\0")
    return total.hexdigest()


def _write_store(folder: Path) -> None:
    store = FeatureStore.create(folder / "s", model="m", dim=32, preprocessing={"size": 64})
    for rows in (slice(0, 16), slice(16, 24)):
        ids = _IMAGES.ids[rows].tolist()
        stamps = [f"{number} 17" for number in range(len(ids) + 1)]
        store.add(ids, _IMAGES.vectors[rows], [(f"bad-{rows.start}", "no image")], stamps=stamps)


def _read_store(folder: Path, check: bool) -> str:
    store = FeatureStore.open(folder / "s")
    if check:
        store.verify()
    whole = store.embeddings()
    facts = [store.manifest[key] for key in ("model", "dim", "preprocessing")]
    features = [whole.ids, whole.vectors, whole.log_norms]
    return digest(*features, store.failures, sorted(store.stamps().items()), facts)


def _write_index(folder: Path) -> None:
    SavedIndex.create(folder / "i", _IMAGES, model="m")


def _read_index(folder: Path, check: bool) -> str:
    index = SavedIndex.open(folder / "i", check_files=check)
    held = index.references()
    facts = [index.manifest[key] for key in ("model", "dim", "count", "fast_decode")]
    return digest(held.ids, np.asarray(held.vectors), held.log_norms, facts)


def _companion(folder: Path, check: bool) -> str:
    engine = FaissFactoryIndex("HNSW8", cache=folder / "c.faiss", check_files=check)
    scores, rows = engine.top(_IMAGES.vectors[:8], _IMAGES.vectors, 5)
    return digest(scores, rows)


def _write_companion(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _companion(folder, False)


def _write_library(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with closing(ImageStore(folder / "l.sqlite", model="m", dim=32)) as store:
        records, names = [], []
        for row, key in enumerate(_DIGESTS):
            facts = Facts(640 + row, 480, 9000 + row, "JPEG", lost=(0.5, 1.5))
            feature, regions = _IMAGES.vectors[row], _IMAGES.vectors[[row, row - 1]]
            record = Record(key, facts, feature, _RNG.bytes(300), regions=regions)
            records.append(record)
            names.append(Name(str(_IMAGES.ids[row]), key, "label", 9000 + row, 17, "/photos"))
        store.put(records, names, regions="coarse")
        pairs = itertools.pairwise(_DIGESTS)
        store.put_verdicts("v", [(*sorted(pair), '{"p": 0.5}') for pair in pairs])
        store.put_local_features("local", [(key, _RNG.bytes(200)) for key in _DIGESTS])


def _read_library(folder: Path, check: bool) -> str:
    with closing(ImageStore(folder / "l.sqlite", model="m", dim=32)) as store:
        if check:
            store.check()
        names = store.names()
        keys = sorted({name.digest for name in names})
        pairs = [tuple(sorted(pair)) for pair in itertools.pairwise(_DIGESTS)]
        local = sorted(store.local_features("local", keys))
        verdicts = sorted(store.verdicts("v", pairs).items())  # type: ignore[arg-type]
        if len(local) < len(_DIGESTS) or len(verdicts) < len(pairs):
            raise AslError("a row counts as missing, and is computed again")
        return digest(
            names,
            sorted(store.facts(keys).items()),
            sorted(store.failures(keys).items()),
            store.features(keys),
            store.region_features("coarse", keys),
            local,
            [store.thumbnail(key) for key in keys],
            verdicts,
        )


def _write_model(folder: Path) -> None:
    import torch

    from asl.models import build_embedder, save_embedder

    torch.manual_seed(0)
    embedder = build_embedder(backbone="resnet10t", size=32, dim=8, norm_head=True)
    save_embedder(embedder, folder / "model.safetensors", card={"data": "none"}, half=True)


def _read_model(folder: Path, check: bool) -> str:
    from asl.models import load_embedder, model_hash
    from asl.models.model_card import read_card

    embedder = load_embedder(folder / "model.safetensors")
    return digest(model_hash(embedder), read_card(folder / "model.safetensors"))


def _write_checkpoint(folder: Path) -> None:
    import torch

    from asl.training.checkpoints import DurableCheckpoints

    state = {
        "state_dict": {f"layer{n}.weight": torch.randn(20, 8) for n in range(6)},
        "global_step": 12,
        "position": {"epoch": 1, "batch": 3},
    }
    DurableCheckpoints().save_checkpoint(state, folder / "last.ckpt")


def _read_checkpoint(folder: Path, check: bool) -> str:
    from asl.training.checkpoints import read_checkpoint

    state = read_checkpoint(folder / "last.ckpt")
    tensors = [(name, value.numpy()) for name, value in state.pop("state_dict").items()]
    return digest(*[part for pair in tensors for part in pair], sorted(state.items()))


def _scored() -> ScoredPairs:
    ids = _IMAGES.ids.tolist()
    return ScoredPairs.from_ids([*ids, *ids], [*ids[::-1], *ids[5:], *ids[:5]], _RNG.random(48))


def _pairs(path: Path, check: bool) -> str:
    if check and path.suffix == ".csv":
        is_as_written(path)
    pairs = read_pairs(path)
    queries, references = pairs.queries[pairs.query_index], pairs.references[pairs.reference_index]
    return digest(queries.tolist(), references.tolist(), pairs.scores)


def _write_truth(folder: Path) -> None:
    ids = _IMAGES.ids.tolist()
    truth = TruthPairs.from_pairs([(f"q{name}", name) for name in ids], other_queries=["none"])
    write_truth(truth, folder / "t.csv")


def _read_truth(folder: Path, check: bool) -> str:
    if check:
        is_as_written(folder / "t.csv")
    truth = read_truth(folder / "t.csv")
    return digest(truth.query_ids.tolist(), truth.reference_ids.tolist(), truth.queries.tolist())


def _read_descriptors(folder: Path, check: bool) -> str:
    held = read_descriptors(folder / "d.h5")
    return digest(held.ids, held.vectors, held.log_norms)


def _read_submission(folder: Path, check: bool) -> str:
    queries, references = read_submission(folder / "s.h5")
    return digest(queries.ids, queries.vectors, references.ids, references.vectors)


def _write_json(folder: Path) -> None:
    scores = {f"score{n}": {"uap": n / 7, "recall": [n, None]} for n in range(30)}
    write_json(folder / "metrics.json", {"scores": scores, "context": {"command": "asl é"}})


def _read_json(folder: Path, check: bool) -> str:
    return digest(read_json(folder / "metrics.json", remedy="write it again"))


def _write_verifier(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verifier.json").write_text(load_model().to_json(), encoding="utf-8")


def _read_verifier(folder: Path, check: bool) -> str:
    model = load_model(folder / "verifier.json")
    arrays = [model.feature, model.threshold, model.left, model.right, model.value]
    return digest(*arrays, model.names, model.baseline, model.slope, model.offset, model.card)


def _local_features(count: int) -> LocalFeatures:
    descriptors = _RNG.integers(0, 256, (count, 128), dtype=np.uint8)
    scales, angles = _RNG.random((2, count)).astype(np.float32)
    return LocalFeatures(scales + 1, angles, descriptors)


def _write_local_index(folder: Path) -> None:
    ExactLocalIndex.build([_local_features(12) for _ in range(4)]).save(
        folder / "local.npz", key="k"
    )


def _read_local_index(folder: Path, check: bool) -> str:
    index = ExactLocalIndex.open(folder / "local.npz", key="k")
    if index is None:
        raise AslError("counts as missing, is built again")
    rng = np.random.default_rng(1)
    query = rng.integers(0, 256, (30, 128), dtype=np.uint8)
    frames = np.ones(30, np.float32)
    return digest(*rank_by_votes(index, [LocalFeatures(frames, frames, query)], 4))


def _coded_keys() -> list[bytes]:
    return [image_key(name) for name in _DIGESTS]


def _write_coded_index(folder: Path) -> None:
    for count in (18, len(_DIGESTS)):  # two pieces
        coded_local_index(
            _coded_keys()[:count],
            lambda positions: [_local_features(12) for _ in positions],
            folder=folder / f"i{CODES}",
        )


def _read_coded_index(folder: Path, check: bool) -> str:
    pieces = read_pieces(folder / f"i{CODES}", load_quantiser(), check_files=check)
    arrays = [keyed.keys for keyed in pieces]
    if check:
        codes = [keyed.piece for keyed in pieces]
        arrays += [array for one in codes for array in (one.bounds, one.signs, one.features)]
        return digest(*arrays)
    index = select_pieces(pieces, _coded_keys(), load_quantiser())
    query = np.random.default_rng(1).integers(0, 256, (30, 128), dtype=np.uint8)
    frames = np.ones(30, np.float32)
    return digest(*arrays, *rank_by_votes(index, [LocalFeatures(frames, frames, query)], 4))


def _mapped_rows(folder: Path) -> MappedRows:
    return MappedRows(folder / "l-vectors", model="m", dim=32, regions=1, key="k")


def _write_vectors(folder: Path) -> None:
    rows = _mapped_rows(folder)
    unit, count = _IMAGES.vectors, len(_DIGESTS)
    for start in range(0, _VECTORS, count):
        rows.put(start, unit, unit[:, None], _IMAGES.log_norms, digest_bytes(_DIGESTS))
    rows.close(_VECTORS)


def _read_vectors(folder: Path, check: bool) -> str:
    if check:
        check_rows(folder / "l-vectors")
    rows = _mapped_rows(folder)
    rows.close(rows.complete)
    if rows.complete < _VECTORS:
        raise AslError("counts as missing, is made again")
    return digest(rows.vectors[:_VECTORS], rows.regions[:_VECTORS], rows.facts[:_VECTORS])


def _write_prepared(folder: Path) -> None:
    features = _local_features(20)
    image = _RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    points = _RNG.random((20, 2)).astype(np.float32)
    prepared = Prepared(image, points, features.scales, features.angles, features.descriptors)
    Cache(folder, Settings()).put("reference", "r", prepared)


def _read_prepared(folder: Path, check: bool) -> str:
    held = Cache(folder, Settings()).get("reference", "r")
    if held is None:
        raise AslError("counts as missing, is prepared again")
    return digest(held.image, held.points, held.scales, held.angles, held.descriptors)


def _read_hard_pairs(folder: Path, check: bool) -> str:
    if check:
        is_as_written(folder / "hard.csv")
    return digest(read_hard_pairs(folder / "hard.csv"))


KINDS: dict[str, Kind] = {
    "feature store": Kind(_write_store, _read_store),
    "index": Kind(_write_index, _read_index),
    "FAISS companion": Kind(_write_companion, _companion),
    "library": Kind(_write_library, _read_library),
    "model": Kind(_write_model, _read_model),
    "checkpoint": Kind(_write_checkpoint, _read_checkpoint),
    "pairs as Parquet": Kind(
        lambda folder: write_pairs(_scored(), folder / "p.parquet"),
        lambda folder, check: _pairs(folder / "p.parquet", check),
    ),
    "HDF5 descriptors": Kind(
        lambda folder: write_descriptors(_IMAGES, folder / "d.h5"), _read_descriptors
    ),
    "HDF5 submission": Kind(
        lambda folder: write_submission(
            _IMAGES.as_queries(), _IMAGES.as_references(), folder / "s.h5"
        ),
        _read_submission,
    ),
    "JSON": Kind(_write_json, _read_json),
    "verifier": Kind(_write_verifier, _read_verifier),
    "local feature index": Kind(_write_local_index, _read_local_index),
    "coded local feature index": Kind(_write_coded_index, _read_coded_index),
    "vectors of a library": Kind(_write_vectors, _read_vectors),
    "prepared image": Kind(_write_prepared, _read_prepared),
    "pairs as CSV": Kind(
        lambda folder: write_pairs(_scored(), folder / "p.csv"),
        lambda folder, check: _pairs(folder / "p.csv", check),
    ),
    "ground truth": Kind(_write_truth, _read_truth),
    "hard pairs": Kind(
        lambda folder: write_hard_pairs(
            list(itertools.pairwise(_IMAGES.ids.tolist())),
            folder / "hard.csv",
        ),
        _read_hard_pairs,
    ),
}
