"""Addresses of the commands: a collection is filled, pruned and opened by its address."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asl.index.milvus.address import is_served, served_file
from asl.index.milvus.collection import NoCollectionError
from asl.types import AslError, Embeddings, UsageError

pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of its own dependencies

CLIP = (-0.4, 0.5)


def some(count: int, prefix: str, seed: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 6)) * rng.lognormal(0, 0.5, size=(count, 1))
    return Embeddings.from_features(
        [f'{prefix}/photo {n}\'s \\ "é".jpg' for n in range(count)], features
    )


REFERENCES = some(120, "r", 1)


@pytest.mark.parametrize("clip", [CLIP, None])
def test_a_collection_clips_as_it_was_told_or_as_its_references_say(
    tmp_path: Path, clip: tuple[float, float] | None
) -> None:
    from asl.index.milvus.address import fill_served, open_served
    from asl.scoring.score import usual_clip

    references, address = (
        REFERENCES.take(np.arange(100)).as_references(),
        f"milvus+{tmp_path / 'l.db'}",
    )
    parts = [references.take(rows) for rows in np.split(np.arange(100), [30])]
    assert fill_served(address, parts, model="m", clip=clip) == 100
    index = open_served(address)
    try:
        assert index.clip == pytest.approx(clip or usual_clip(references.log_norms))
        assert index.clip != pytest.approx(usual_clip(references.log_norms) if clip else CLIP)
    finally:
        index.close()


def test_pruned_references_are_gone_and_another_index_type_is_refused(tmp_path: Path) -> None:
    from asl.index.milvus.address import fill_served, open_served

    address, seen = f"milvus+{tmp_path / 'l.db'}", []
    fill_served(address, [REFERENCES.take(np.arange(100))], model="m", kind="HNSW,M=8")
    parts = [REFERENCES.take(np.arange(50, 80)), REFERENCES.take(np.arange(110, 120))]
    gone = {*REFERENCES.ids[:50].tolist(), *REFERENCES.ids[80:100].tolist(), "nobody"}
    count = fill_served(
        address, parts, model="m", without=gone, progress=lambda *state: seen.append(state)
    )
    assert (count, seen) == (40, [(30, 40), (40, 40)])
    index = open_served(address)
    assert index.ids() == sorted(
        [*REFERENCES.ids[50:80].tolist(), *REFERENCES.ids[110:120].tolist()]
    )
    assert str(index.kind) == "HNSW,M=8,efConstruction=200"
    index.close()
    with pytest.raises(
        AslError, match=r"made with milvus_index=HNSW,M=8,.* cannot be changed to HNSW"
    ):
        fill_served(address, parts, model="m", kind="HNSW")
    with pytest.raises(AslError, match="no references to add"):
        fill_served(address, [], model="m")


def test_only_addresses_with_the_prefix_are_served() -> None:
    assert is_served("milvus+http://127.0.0.1:19530")
    assert not is_served("milvus")


def test_one_file_holds_several_collections_by_name(tmp_path: Path) -> None:
    from asl.index.milvus.address import fill_served, open_served

    file = tmp_path / "l.db"
    for name, count in (("", 30), ("#photos", 40)):
        part = REFERENCES.take(np.arange(count))
        assert fill_served(f"milvus+{file}{name}", [part], model="m", clip=CLIP) == count
    index = open_served(f"milvus+{file}#photos")
    assert len(index) == 40
    index.close()
    assert served_file(f"milvus+{file}#photos") == file
    with pytest.raises(NoCollectionError, match="holds no collection 'others'"):
        open_served(f"milvus+{file}#others")
    for wrong in ("", "1st", "a-b", "a#b"):
        with pytest.raises(UsageError, match=r"#.*: a collection is named by # and letters"):
            open_served(f"milvus+{file}#{wrong}")
