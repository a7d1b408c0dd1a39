"""The command: what goes in (images, stores, an index), what limits the list, what is refused."""

from __future__ import annotations

import csv
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from asl import extract as extract_command
from asl.cli import compose
from asl.data.scenes import render_scene
from asl.features import FeatureStore
from asl.index.exact.exact_search import search
from asl.models import build_embedder, save_embedder
from asl.scoring.normalization import ScoreNormalization
from asl.scoring.postprocess import PostProcess
from asl.scoring.score import CLEAR_DIFFERENCE, Score
from asl.search import run
from asl.types import AslError, UsageError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve references, five queries (crops of the first five), ten training images."""
    folder = tmp_path_factory.mktemp("search")
    for role in ("library", "new", "empty", "train"):
        (folder / role).mkdir()
    for number in range(12):
        image = render_scene(number, height=96, width=128)[..., ::-1]
        cv2.imwrite(str(folder / "library" / f"r{number:02d}.png"), image)
        if number < 5:
            cv2.imwrite(str(folder / "new" / f"q{number}.png"), image[10:80, 20:110])
    for number in range(10):
        image = render_scene(100 + number, height=96, width=128)[..., ::-1]
        cv2.imwrite(str(folder / "train" / f"t{number}.png"), image)
    torch.manual_seed(0)
    save_embedder(
        build_embedder(backbone="mobilenetv3_small_050", neck="none", size=64).eval(),
        folder / "m.safetensors",
        card={},
    )
    for role in ("library", "new", "train"):
        keys = [
            f"images={folder / role}",
            f"model={folder / 'm.safetensors'}",
            f"output={folder / role}.store",
        ]
        assert (
            extract_command.run(
                compose("extract", [*keys, "regions=coarse", f"index={folder / role}.index"])
            )
            == 0
        )
    return folder


def searched(
    files: Path, output: Path, *more: str, references: str = "library.store"
) -> list[dict[str, str]]:
    keys = [
        f"queries={files / 'new.store'}",
        f"references={files / references}",
        f"output={output / 'pairs.csv'}",
    ]
    assert (
        run(compose("search", [*keys, f"model={files / 'm.safetensors'}", "score=cosine", *more]))
        == 0
    )
    with (output / "pairs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def cosines(files: Path, *, regions_of: tuple[str, ...] = ()) -> dict[tuple[str, str], float]:
    """By brute force: every pair's cosine, the best over regions of ``new`` or ``library``."""
    sides = {}
    for role in ("new", "library"):
        store = files / f"{role}.store"
        parts = sorted((store / "regions").iterdir()) if role in regions_of else []
        if role == "new":  # queries have no thumbnails
            parts = [path for path in parts if not path.name.endswith("px")]
        sides[role] = [FeatureStore.open(path).embeddings() for path in (store, *parts)]
    (query, *of_query), (reference, *of_reference) = sides["new"], sides["library"]
    rounds = [
        (query, reference),
        *((query, part) for part in of_reference),
        *((part, reference) for part in of_query),
    ]
    best = np.max([left.vectors @ right.vectors.T for left, right in rounds], axis=0)
    names = reference.ids.tolist()
    return {
        (q, r): float(best[i, j])
        for i, q in enumerate(query.ids.tolist())
        for j, r in enumerate(names)
    }


def check(rows: list[dict[str, str]], expected: dict[tuple[str, str], float]) -> None:
    found = {(row["query_id"], row["reference_id"]): float(row["score"]) for row in rows}
    assert len(found) == len(rows)
    assert found.keys() == expected.keys()
    for pair, score in found.items():
        assert score == pytest.approx(expected[pair], abs=1e-5)


def best(scores: dict[tuple[str, str], float], count: int) -> dict[tuple[str, str], float]:
    return dict(sorted(scores.items(), key=lambda item: -item[1])[:count])


@pytest.mark.parametrize("references", ["library", "library.store", "library.index"])
def test_images_a_store_and_an_index_give_the_same_pairs(
    files: Path, tmp_path: Path, references: str
) -> None:
    rows = searched(files, tmp_path, "k=12", references=references)
    check(rows, cosines(files))
    for row in rows:
        gap = float(row["query_log_norm"]) - float(row["reference_log_norm"])
        side = "reference->query" if gap < 0 else "query->reference"
        assert row["direction"] == (side if abs(gap) >= CLEAR_DIFFERENCE else "unclear")


def test_queries_from_an_index_give_the_same_pairs(files: Path, tmp_path: Path) -> None:
    rows = searched(files, tmp_path, "k=3", f"queries={files / 'new.index'}")
    assert sorted(map(str, rows)) == sorted(map(str, searched(files, tmp_path, "k=3")))


def test_most_and_above_are_over_all_queries(files: Path, tmp_path: Path) -> None:
    every = cosines(files)
    check(searched(files, tmp_path, "k=null", "most=7"), best(every, 7))
    limit = np.mean(sorted(every.values())[-10:-8])  # between the ninth and the tenth
    check(searched(files, tmp_path, "k=null", f"above={limit}"), best(every, 9))
    check(searched(files, tmp_path, "k=12", "memory=0.001"), every)


@pytest.mark.parametrize(
    ("keys", "roles"),
    [
        (["regions=coarse"], ("library",)),
        (["query_regions=coarse"], ("new",)),
        (["regions=coarse", "query_regions=coarse"], ("library", "new")),
    ],
)
def test_regions_are_the_best_over_parts_of_their_own_side(
    files: Path, tmp_path: Path, keys: list[str], roles: tuple[str, ...]
) -> None:
    every = cosines(files, regions_of=roles)
    assert every != cosines(files)
    check(searched(files, tmp_path, "k=12", *keys), every)


def test_most_is_over_regions_too(files: Path, tmp_path: Path) -> None:
    every = cosines(files, regions_of=("library",))
    check(searched(files, tmp_path, "k=null", "most=6", "regions=coarse"), best(every, 6))


def test_local_features_propose_what_the_embedding_misses(files: Path, tmp_path: Path) -> None:
    """A part of a reference in another picture: one candidate by the embedding is not enough."""
    scenes = [render_scene(number, height=192, width=256) for number in range(14)]
    for name in ("pasted", "originals"):
        (tmp_path / name).mkdir()
    for number in range(8):
        cv2.imwrite(str(tmp_path / "originals" / f"{number}.png"), scenes[number][..., ::-1])
    for number in range(6):
        query = scenes[8 + number].copy()
        query[40:130, 60:180] = scenes[number][60:150, 80:200]
        cv2.imwrite(str(tmp_path / "pasted" / f"{number}.png"), query[..., ::-1])
    keys = [
        "score=verified",
        "candidate_score=cosine",
        "k=1",
        f"output={tmp_path / 'pairs.csv'}",
        "workers=0",
    ]
    sides = [f"queries={tmp_path / 'pasted'}", f"references={tmp_path / 'originals'}"]
    right = {}
    for local in (0, 2):
        assert (
            run(
                compose(
                    "search",
                    [
                        *keys,
                        *sides,
                        f"model={files / 'm.safetensors'}",
                        f"local_candidates={local}",
                    ],
                )
            )
            == 0
        )
        with (tmp_path / "pairs.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 6, "k pairs a query, however many were looked at"
        right[local] = sum(row["query_id"] == row["reference_id"] for row in rows)
    assert right[0] < 5 <= right[2]
    kept = tmp_path / "pairs.csv.features" / "references" / "local.npz"
    before = kept.stat().st_mtime_ns
    assert (
        run(
            compose(
                "search", [*keys, *sides, f"model={files / 'm.safetensors'}", "local_candidates=2"]
            )
        )
        == 0
    )
    assert kept.stat().st_mtime_ns == before, "the index of local features is used again"
    scores = [float(row["score"]) for row in rows]
    least = sorted(scores)[2]
    above = ["local_candidates=2", f"above={least}", f"model={files / 'm.safetensors'}"]
    assert run(compose("search", [*keys, *sides, *above])) == 0
    with (tmp_path / "pairs.csv").open(newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == [
            score for score in scores if score >= least
        ]
    with pytest.raises(UsageError, match="reference_images="):
        searched(files, tmp_path, "score=verified", "local_candidates=2")


def test_regions_of_images_are_embedded_on_the_way(files: Path, tmp_path: Path) -> None:
    rows = searched(files, tmp_path, "k=12", "regions=coarse", references="library")
    check(rows, cosines(files, regions_of=("library",)))


@pytest.mark.parametrize(
    ("keys", "error", "said"),
    [
        (["regions=huge"], UsageError, "regions: expected one of none, coarse, fine"),
        (["score=cosin"], UsageError, "cosin"),
        (["references=nowhere"], UsageError, "references: there is no nowhere"),
        (["output=pairs.txt"], UsageError, "ends in .csv or .parquet"),
        (["regions=fine"], AslError, "has no regions"),
        (["references={files}/library.index", "regions=coarse"], UsageError, "whole images only"),
        (
            ["queries=milvus+library.db"],
            UsageError,
            "queries: only references may be stored in Milvus",
        ),
        (["queries={files}/empty"], AslError, "empty"),
        (["k=0", "queries={files}/new"], UsageError, "^k: must be 1 or more, got 0"),
        (["k=null", "queries={files}/new"], UsageError, "^k: k=null requires most= or above="),
        (["most=0", "queries={files}/new"], UsageError, "^most: must be 1 or more, got 0"),
        (
            ["above=nan", "queries={files}/new"],
            UsageError,
            "^above: expected a finite number, got nan",
        ),
        (["memory=0", "queries={files}/new"], UsageError, "^memory: must be 0.001 GiB or more"),
        (
            ["factory=HNSW8", "nprobe=0", "queries={files}/new"],
            UsageError,
            "^nprobe: must be 1 or more, got 0",
        ),
        (
            ["factory=HNSW8", "recall_queries=-1", "queries={files}/new"],
            UsageError,
            "^recall_queries: must be 0 or more, got -1",
        ),
        (["clip=[1,2,3]", "score=soft"], UsageError, "clip: expected two"),
        (["score=verified"], UsageError, "query_images"),
        (
            ["score=verified", "local_candidates=-2"],
            UsageError,
            "local_candidates: must be 0 or more, got -2",
        ),
        (
            ["score=verified", "k=null", "above=0.5"],
            UsageError,
            "k: score=verified .* give a number",
        ),
        (
            ["score=verified", "most=0", "queries={files}/new"],
            UsageError,
            "^most: must be 1 or more, got 0",
        ),
        (
            ["score=verified", "pairs=-1", "queries={files}/new"],
            UsageError,
            "^pairs: must be 0 or more, got -1",
        ),
        (
            ["score=verified", "seconds=-1", "queries={files}/new"],
            UsageError,
            "^seconds: must be 0 or more",
        ),
        (
            ["score=verified", "precision=2", "queries={files}/new"],
            UsageError,
            "precision: must be in 0..1, got 2",
        ),
        (
            ["score=verified", "precision=0.3", "queries={files}/new"],
            UsageError,
            "precision: expected a number from 0.5 to below 1, got 0.3",
        ),
        (
            ["score=hinge", "precision=2", "queries={files}/new"],
            UsageError,
            "precision: must be in 0..1, got 2",
        ),
        (["factory=IFV4"], UsageError, "FAISS cannot build 'IFV4'"),
        (
            ["factory=HNSW8", "engine=exact"],
            UsageError,
            "engine: has no effect with factory=, which is an engine of its own",
        ),
        (["whiten=4"], UsageError, "background: needed for whiten"),
        (
            ["background={files}/library.store", "normalize=zscore"],
            UsageError,
            "normalize: expected one of none, subtract",
        ),
        (
            ["references={files}/library.store+{files}/gone.store"],
            UsageError,
            "there is no .*gone.store",
        ),
        (
            ["references={files}/library.store+{files}/library"],
            UsageError,
            "only feature stores can be joined",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    files: Path, tmp_path: Path, keys: list[str], error: type[Exception], said: str
) -> None:
    given = [key.format(files=files) for key in keys]
    with pytest.raises(error, match=said) as caught:
        searched(files, tmp_path, *given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pairs.csv").exists()
    if error is UsageError:
        assert not (tmp_path / "pairs.csv.features" / "queries").exists(), (
            "it is refused before anything is embedded"
        )


def test_an_index_from_a_factory_string_is_kept_beside_the_index(
    files: Path, tmp_path: Path, capsys
) -> None:
    exact = searched(files, tmp_path, "k=3")
    rows = searched(files, tmp_path, "k=3", "factory=HNSW8", references="library.index")
    assert rows == exact
    assert "100.0 % of the exact 3 best" in capsys.readouterr().out
    assert [path.name for path in (files / "library.index").glob("*.faiss")] == [
        "00000001.HNSW8.faiss"
    ]
    (files / "library.index" / "00000001.HNSW8.faiss").unlink()
    steps = ["negatives=0.35", "normalize=none", f"background={files / 'train.store'}", "k=3"]
    searched(files, tmp_path, *steps, "factory=HNSW8", references="library.index")
    assert not list((files / "library.index").glob("*.faiss")), (
        "an index of changed features is none of these"
    )


def test_background_steps_change_scores_as_the_library_does(files: Path, tmp_path: Path) -> None:
    sides = [FeatureStore.open(files / f"{role}.store").embeddings() for role in ("new", "library")]
    background = FeatureStore.open(files / "train.store").embeddings().as_background()
    for keys, options, rule in (
        (
            ["normalize=stretch", "sn_weight=2.5", "sn_last=4"],
            {},
            ScoreNormalization(2.5, 0, 4, "stretch"),
        ),
        (["normalize=none", "negatives=0.35"], {"negatives": 0.35}, None),
        (["normalize=subtract", "whiten=4"], {"whiten": 4}, ScoreNormalization()),
    ):
        rows = searched(files, tmp_path, "k=12", f"background={files / 'train.store'}", *keys)
        steps = PostProcess.fit(background, **options)
        expected = search(
            steps.apply(sides[0].as_queries()),
            steps.apply(sides[1].as_references()),
            score=Score("cosine", normalization=rule),
            k=12,
            background=steps.background,
        )
        assert [float(row["score"]) for row in rows] == pytest.approx(
            expected.scores.tolist(), abs=1e-5
        )


def test_stores_joined_by_a_plus_are_the_mean_of_their_cosines(files: Path, tmp_path: Path) -> None:
    for role in ("library", "new"):
        keys = [
            f"images={files / role}",
            f"model={files / 'm.safetensors'}",
            f"output={files / role}.96",
            "size=96",
        ]
        assert extract_command.run(compose("extract", keys)) == 0
    one = {
        (row["query_id"], row["reference_id"]): float(row["score"])
        for row in searched(files, tmp_path, "k=12")
    }
    keys = ["k=12", f"queries={files / 'new.96'}"]
    other = searched(files, tmp_path, *keys, references="library.96")
    joined = searched(
        files,
        tmp_path,
        "k=12",
        f"queries={files / 'new.store'}+{files / 'new.96'}",
        f"references={files / 'library.store'}+{files / 'library.96'}",
    )
    found = {(row["query_id"], row["reference_id"]): float(row["score"]) for row in joined}
    for row in other:
        pair = row["query_id"], row["reference_id"]
        assert found[pair] == pytest.approx((one[pair] + float(row["score"])) / 2, abs=1e-5)


@pytest.mark.filterwarnings("ignore")  # of milvus-lite's own dependencies
@pytest.mark.parametrize("mode", ["cosine", "strict", "soft", "hinge"])
def test_references_in_milvus_give_the_same_lines(files: Path, tmp_path: Path, mode: str) -> None:
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    address, keys = f"milvus+{tmp_path / 'library.db'}", ["k=4", f"score={mode}"]
    keys += ["lam=0.2"] if mode in ("soft", "hinge") else []
    fill = [
        f"images={files / 'library'}",
        f"model={files / 'm.safetensors'}",
        f"output={files / 'library.store'}",
    ]
    for _ in range(2):  # what is there already is replaced
        assert extract_command.run(compose("extract", [*fill, f"index={address}"])) == 0
    served = searched(files, tmp_path, *keys, f"references={address}")
    assert served == searched(files, tmp_path, *keys)
    assert len(served) == 20 or mode == "strict"
    with pytest.raises(UsageError, match="regions: has no effect with references in Milvus"):
        searched(files, tmp_path, "regions=coarse", f"references={address}")
    with pytest.raises(AslError, match=r"there is no .*none\.db"):
        searched(files, tmp_path, f"references=milvus+{tmp_path / 'none.db'}")


@pytest.mark.filterwarnings("ignore")  # of milvus-lite's own dependencies
def test_an_approximate_collection_says_what_it_finds(files: Path, tmp_path: Path, capsys) -> None:
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    address = f"milvus+{tmp_path / 'library.db'}"
    fill = [
        f"images={files / 'library'}",
        f"model={files / 'm.safetensors'}",
        f"output={files / 'library.store'}",
    ]
    assert (
        extract_command.run(
            compose("extract", [*fill, f"index={address}", 'milvus_index="IVF_FLAT,nlist=4"'])
        )
        == 0
    )
    searched(files, tmp_path, "k=3", f"references={address}", "nprobe=1")
    said = capsys.readouterr().out
    share = float(re.search(r"approximate: ([\d.]+) % of the exact 3 best", said)[1])  # type: ignore[index]
    assert 20 <= share < 100
    assert "milvus IVF_FLAT,nlist=4" in said.replace("\n", " ")
    assert searched(files, tmp_path, "k=3", f"references={address}", "nprobe=4") == searched(
        files, tmp_path, "k=3"
    )
    assert "100.0 % of the exact" in capsys.readouterr().out
    searched(files, tmp_path, "k=3", f"references={address}", "recall_queries=0")
    assert "approximate; its recall is measured with recall_queries=100" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")  # of milvus-lite's own dependencies
def test_a_side_that_was_decoded_fast_beside_one_that_was_not_is_said(
    files: Path, tmp_path: Path, capfd
) -> None:
    keys = [
        f"images={files / 'library'}",
        f"model={files / 'm.safetensors'}",
        f"output={tmp_path / 'fast'}",
    ]
    keys.append("fast_decode=true")
    references = [str(tmp_path / "fast"), str(tmp_path / "fast.index")]
    if importlib.util.find_spec("milvus_lite"):
        references.append(f"milvus+{tmp_path / 'fast.db'}")
    for place in references[1:]:
        assert extract_command.run(compose("extract", [*keys, f"index={place}"])) == 0
    searched(files, tmp_path)
    assert "fast_decode" not in capfd.readouterr().err
    for place in references:
        searched(files, tmp_path, f"references={place}")
        assert "only some of the features were made with fast_decode=true" in capfd.readouterr().err


def test_stores_are_searched_without_torch(files: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from asl.search import main; main(); "
        "heavy = {'torch', 'timm', 'lightning', 'albumentations', 'hydra'}; "
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    keys = [
        f"queries={files / 'new.store'}",
        f"references={files / 'library.index'}",
        f"output={tmp_path / 'p.csv'}",
        "score=hinge",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *keys], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "HEAVY []" in done.stdout
    assert len((tmp_path / "p.csv").read_text().splitlines()) > 1


def test_the_command_ends_with_the_code_that_scripts_expect(
    files: Path, tmp_path: Path, commands: Path
) -> None:
    stores = [
        f"queries={files / 'new.store'}",
        f"references={files / 'library.store'}",
        f"output={tmp_path / 'p.csv'}",
    ]
    for keys, code in (
        ([*stores, "score=cosine"], 0),
        ([*stores, "k=0"], 2),
        ([*stores, "regions=fine"], 1),
        ([*stores, "skore=cosine"], 2),
        ([*stores, "references=nowhere"], 2),
        (stores[:2], 2),
    ):
        program = commands / "python" if code else sys.executable
        done = subprocess.run(
            [program, "-m", "asl.search", *keys],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == code, (keys, done.stderr)
        assert "Traceback" not in done.stderr
        said = [line for line in done.stderr.splitlines() if "error" in line]
        assert len(said) == (code != 0), done.stderr
