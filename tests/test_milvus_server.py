"""References on a real Milvus server: every kind of index, every score, changes and a restart."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asl import extract, search
from asl.cli import compose
from asl.index.engines.faiss_flat import FaissFlat
from asl.index.exact import exact_search
from asl.index.milvus.address import fill_served, open_served
from asl.index.milvus.collection import NoCollectionError
from asl.scoring.score import MODES, Score
from asl.types import AslError, Embeddings, ScoredPairs
from tests.milvus_server import MilvusProcess
from tests.pipeline.cut_images import make_cut_images

pytest.importorskip("milvus", reason="the Milvus server is not installed: make server")
pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of the client's own dependencies
]

CLIP = (-0.4, 0.5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusProcess]:
    process = MilvusProcess(tmp_path_factory.mktemp("server"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cut_images(tmp_path_factory.mktemp("images"))


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 6)) * rng.lognormal(0, 0.5, size=(count, 1))
    return Embeddings.from_features(
        [f'{prefix}/photo {n}\'s \\ "é".jpg' for n in range(count)], features
    )


REFERENCES, QUERIES = some(1200, "r", 1), some(60, "q", 2).as_queries()


def triples(pairs: ScoredPairs) -> list[tuple[str, str, float]]:
    columns = (pairs.query_ids.tolist(), pairs.reference_ids.tolist(), pairs.scores.tolist())
    return list(zip(*columns, strict=True))


def score_of(mode: str) -> Score:
    return Score(mode, 0.3, 0.1, CLIP if mode == "soft" else None)  # type: ignore[arg-type]


def lists_of(references: Embeddings, mode: str) -> list[tuple[str, str, float]]:
    """The exact lists, by FAISS."""
    found = exact_search.search(
        QUERIES, references.as_references(), score=score_of(mode), k=7, engine=FaissFlat()
    )
    return triples(found)


@pytest.mark.parametrize("kind", ["FLAT", "HNSW,M=8", "IVF_SQ8,nlist=16"])
def test_every_kind_gives_the_lists_of_faiss(server: MilvusProcess, kind: str) -> None:
    address = f"milvus+{server.address}#{kind.split(',')[0]}"
    parts = [REFERENCES.take(np.arange(700)), REFERENCES.take(np.arange(600, 1200))]
    gone = set(REFERENCES.ids[:20].tolist())
    count = fill_served(address, parts, model="m", clip=CLIP, kind=kind, without=gone)
    assert count == 1180, "what was added twice is there once, and what was removed is not"
    index = open_served(address)
    assert index.kind.exact == (kind == "FLAT")
    kept = REFERENCES.take(np.arange(20, 1200))
    for mode in MODES:
        found = index.search(QUERIES, score=score_of(mode), k=7, nprobe=200)
        assert triples(found) == lists_of(kept, mode), mode
    index.close()


def test_an_index_type_that_the_server_lacks_leaves_nothing(server: MilvusProcess) -> None:
    address = f"milvus+{server.address}#half"
    with pytest.raises(AslError, match=r"^milvus: http.*invalid index type: IVF_RABITQ"):
        fill_served(address, [REFERENCES], model="m", clip=CLIP, kind="IVF_RABITQ")
    with pytest.raises(NoCollectionError, match="holds no collection 'half'"):
        open_served(address)


def extracted(files: Path, *more: str) -> None:
    keys = [f"images={files / 'library'}", f"output={files / 'store'}", "workers=0"]
    keys.append(f"model={files / 'm.safetensors'}")
    assert extract.run(compose("extract", [*keys, *more])) == 0


def searched(files: Path, score: str, *more: str) -> list[dict[str, str]]:
    output = files / "pairs.csv"
    keys = [f"queries={files / 'new'}", f"model={files / 'm.safetensors'}", f"score={score}"]
    keys += [f"output={output}", "workers=0", "k=3"]
    if score == "verified":
        keys.append(f"reference_images={files / 'library'}")
    assert search.run(compose("search", [*keys, *more])) == 0
    with output.open(newline="") as file:
        return list(csv.DictReader(file))


def same_lists(files: Path, address: str, scores: tuple[str, ...]) -> None:
    """Searches of the server and of the store, by FAISS, write the same lines."""
    store = (f"references={files / 'store'}", "engine=faiss")
    for score in scores:
        more = ("lam=0.2",) if score in ("soft", "hinge") else ()
        local = (f"local_index={files / 'local'}",) if score == "verified" else ()
        served = searched(files, score, f"references={address}", *more, *local)
        assert served == searched(files, score, *store, *more, *local), score
        assert served


def test_the_commands_give_the_lists_of_a_store(server: MilvusProcess, files: Path) -> None:
    address = f"milvus+{server.address}"
    extracted(files, f"index={address}", "milvus_index=FLAT")
    same_lists(files, address, (*MODES, "verified"))
    verified = searched(files, "verified", f"references={address}", "local_candidates=0")
    copies = [row["query_id"] for row in verified if float(row["score"]) > 0.5]
    assert copies == ["0.png", "1.png", "2.png"]

    (files / "library" / "1.png").unlink()
    extracted(files, f"index={address}", "prune=0.5")
    same_lists(files, address, ("verified",))
    left = {row["reference_id"] for row in searched(files, "cosine", f"references={address}")}
    assert left == {"0.png", "2.png", "3.png"}

    server.stop()
    server.start()
    same_lists(files, f"milvus+{server.address}", ("hinge",))
