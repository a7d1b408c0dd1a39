from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from asl.data.catalog import open_catalog, subset
from asl.data.images import decode_image
from asl.data.scenes import render_scene
from asl.edits.engine.scaling import scaled
from asl.features import FeatureStore, extract, extraction
from asl.features.decoded_batches import decoded_batches
from asl.models import Embedder, build_embedder
from asl.types import AslError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(12):
        image = render_scene(number, height=60 + 3 * number, width=80)
        cv2.imwrite(str(folder / f"{number:02d}.jpg"), image[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return build_embedder(backbone="mobilenetv3_small_050", size=48, dim=8).eval()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_features_are_those_of_the_images_in_order(
    photos: Path, embedder: Embedder, tmp_path: Path
) -> None:
    import torch

    catalog = open_catalog(photos)
    store = extract(catalog, embedder, output=tmp_path / "s", batch_size=5, shard_size=7)
    assert store.ids.tolist() == catalog.ids.tolist()
    image = scaled(decode_image(photos / "03.jpg"), 48, 48)
    with torch.inference_mode():
        expected = embedder(torch.from_numpy(image).permute(2, 0, 1)[None]).numpy()[0]
    assert np.allclose(store.features()[3], expected, atol=1e-4)
    norms = np.linalg.norm(store.features(), axis=1)
    assert np.allclose(store.embeddings().log_norms, np.log(norms), atol=1e-5), (
        "lengths are kept, not normalised away"
    )


def test_workers_change_nothing(photos: Path, embedder: Embedder, tmp_path: Path) -> None:
    catalog = open_catalog(photos)
    for workers in (0, 2):
        extract(
            catalog,
            embedder,
            output=tmp_path / f"s{workers}",
            batch_size=4,
            shard_size=8,
            workers=workers,
        )
    assert contents(tmp_path / "s0") == contents(tmp_path / "s2")


def test_new_images_are_added_and_old_ones_left(
    photos: Path, embedder: Embedder, tmp_path: Path
) -> None:
    catalog = open_catalog(photos)
    extract(subset(catalog, range(5)), embedder, output=tmp_path / "s", shard_size=4)
    before = contents(tmp_path / "s")
    seen: list[tuple[int, int]] = []
    store = extract(
        catalog,
        embedder,
        output=tmp_path / "s",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (7, 7), "only the new ones are embedded"
    assert len(store) == 12
    after = contents(tmp_path / "s")
    assert all(after[name] == data for name, data in before.items() if name != "manifest.json")


def test_unreadable_images_are_listed_and_everything_adds_up(
    photos: Path, embedder: Embedder, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for path in photos.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "05.jpg").write_bytes(b"")
    (folder / "zz.jpg").write_bytes((photos / "01.jpg").read_bytes()[:300])
    store = extract(open_catalog(folder), embedder, output=tmp_path / "s", max_failure_rate=0.2)
    assert {name: reason.split(":")[0] for name, reason in store.failures} == {
        "05.jpg": "empty file",
        "zz.jpg": "corrupt or truncated",
    }
    assert len(store) + len(store.failures) == 13


def test_too_many_unreadable_images_stop_the_run(embedder: Embedder, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"no image")
    with pytest.raises(AslError, match="3 of 3 images cannot be read"):
        extract(open_catalog(tmp_path), embedder, output=tmp_path / "s")


def test_one_is_too_many_where_none_may_fail_and_all_may_where_all_may(
    embedder: Embedder, tmp_path: Path
) -> None:
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), render_scene(1, height=40, width=40))
    (tmp_path / "junk.png").write_bytes(b"junk")
    catalog = open_catalog(tmp_path)
    with pytest.raises(AslError, match=r"1 of 3 images cannot be read, e\.g\. junk\.png"):
        extract(catalog, embedder, output=tmp_path / "none", max_failure_rate=0)
    assert len(extract(catalog, embedder, output=tmp_path / "few").failures) == 1
    only = subset(catalog, [2])
    with pytest.raises(AslError, match="1 of 1 image "):
        extract(only, embedder, output=tmp_path / "alone", max_failure_rate=0.9)
    assert len(extract(only, embedder, output=tmp_path / "all", max_failure_rate=1)) == 0


def test_few_images_may_have_as_many_failures_as_twenty(embedder: Embedder, tmp_path: Path) -> None:
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), render_scene(number, height=40, width=40))
    for number in range(3):
        (tmp_path / f"junk{number}.png").write_bytes(b"junk")
    catalog = open_catalog(tmp_path)
    with pytest.raises(
        AslError, match=r"3 of 9 images cannot be read.*max_failure_rate above 0\.1"
    ):
        extract(catalog, embedder, output=tmp_path / "many")
    two_broken = subset(catalog, range(8))
    assert len(extract(two_broken, embedder, output=tmp_path / "two").failures) == 2
    some = extract(catalog, embedder, output=tmp_path / "some", max_failure_rate=0.15)
    assert len(some.failures) == 3


def test_failures_of_earlier_runs_count_when_a_run_is_resumed(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(12):
        cv2.imwrite(str(photos / f"{number:02}.png"), render_scene(number, height=40, width=40))
    for number in (1, 6, 9):
        (photos / f"{number:02}.png").write_bytes(b"junk")
    catalog = open_catalog(photos)
    options: dict[str, Any] = {"shard_size": 4, "max_failure_rate": 0.1}

    def verdict(output: Path) -> str:
        with pytest.raises(AslError) as caught:
            extract(catalog, embedder, output=output, **options)
        return str(caught.value)

    through = verdict(tmp_path / "through")
    assert through.startswith("extract: 3 of 12 images cannot be read, e.g. 09.png")
    with monkeypatch.context() as patch:
        add = extraction._add
        added: list[None] = []

        def add_two(*arguments: Any) -> None:
            added.append(add(*arguments))
            if len(added) == 2:
                raise KeyboardInterrupt

        patch.setattr(extraction, "_add", add_two)
        with pytest.raises(KeyboardInterrupt):
            extract(catalog, embedder, output=tmp_path / "resumed", **options)
    assert [name for name, _ in FeatureStore.open(tmp_path / "resumed").failures] == [
        "01.png",
        "06.png",
    ]
    assert verdict(tmp_path / "resumed") == through
    assert contents(tmp_path / "resumed") == contents(tmp_path / "through")
    options["max_failure_rate"] = 0.5
    for output in ("through", "resumed"):
        store = extract(catalog, embedder, output=tmp_path / output, **options)
        assert [name for name, _ in store.failures] == ["01.png", "06.png", "09.png"]
        assert len(store) + len(store.failures) == 12
    assert contents(tmp_path / "resumed") == contents(tmp_path / "through")


def test_a_failure_that_is_mended_no_longer_counts(embedder: Embedder, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(6):
        cv2.imwrite(str(photos / f"{number}.png"), render_scene(number, height=40, width=40))
    for number in (1, 2):
        (photos / f"{number}.png").write_bytes(b"junk")
    assert len(extract(open_catalog(photos), embedder, output=tmp_path / "s").failures) == 2
    (photos / "1.png").write_bytes((photos / "0.png").read_bytes())
    (photos / "6.png").write_bytes(b"junk")
    store = extract(open_catalog(photos), embedder, output=tmp_path / "s")
    assert [name for name, _ in store.failures] == ["2.png", "6.png"]


def test_an_image_that_a_store_counts_twice_is_noticed(
    photos: Path, embedder: Embedder, tmp_path: Path
) -> None:
    catalog = open_catalog(photos)
    store = extract(subset(catalog, range(5)), embedder, output=tmp_path / "s")
    store.add(["01.jpg"], store.features()[1:2], [])
    with pytest.raises(AslError, match=r"13 embedded and 0 failed of 12 images.*in it twice"):
        extract(catalog, embedder, output=tmp_path / "s")


def test_an_image_without_a_direction_is_a_failure(photos: Path, tmp_path: Path) -> None:
    class Blind(Embedder):
        def forward(self, images):  # type: ignore[no-untyped-def]
            features = super().forward(images)
            features[0], features[1] = float("nan"), 0.0
            return features

    blind = build_embedder(backbone="mobilenetv3_small_050", size=48, dim=8).eval()
    blind.__class__ = Blind
    store = extract(
        open_catalog(photos), blind, output=tmp_path / "s", batch_size=12, max_failure_rate=0.5
    )
    assert store.failures == [
        (name, "its feature is not finite, or 0") for name in ("00.jpg", "01.jpg")
    ]
    assert len(store.embeddings()) == 10


def test_features_of_another_model_are_not_mixed_in(
    photos: Path, embedder: Embedder, tmp_path: Path
) -> None:
    extract(open_catalog(photos), embedder, output=tmp_path / "s")
    other = build_embedder(backbone="mobilenetv3_small_050", size=48, dim=8).eval()
    with pytest.raises(AslError, match=r"was made with .*, not with .*or choose another output"):
        extract(open_catalog(photos), other, output=tmp_path / "s")


def test_a_damaged_store_is_noticed(photos: Path, embedder: Embedder, tmp_path: Path) -> None:
    store = extract(open_catalog(photos), embedder, output=tmp_path / "s")
    store.verify()
    shard = tmp_path / "s" / "shard-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(AslError, match="not what was written"):
        FeatureStore.open(tmp_path / "s").verify()
    shard.write_bytes(b"")
    with pytest.raises(AslError, match=r"shard-00000\.npy: damaged .* extract again"):
        store.features()
    (tmp_path / "s" / "manifest.json").write_text(json.dumps({"format": "else"}))
    with pytest.raises(AslError, match="not a feature store"):
        FeatureStore.open(tmp_path / "s")


# Imports once, then forks a child per attempt: the kills hit the work, not Python's start.
DRIVER = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from asl.data.catalog import open_catalog
from asl.features import extract
from asl.models import load_embedder

torch.set_num_threads(1)
photos, model, folder = sys.argv[1:]
catalog, embedder = open_catalog(photos), load_embedder(model)
options = {"batch_size": 2, "shard_size": 3}

def attempt(output, delay=None):
    child = os.fork()
    if child == 0:
        try:
            extract(catalog, embedder, output=output, **options)
        finally:
            os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]

start = time.perf_counter()
attempt(f"{folder}/whole")
whole = time.perf_counter() - start
rng, output = random.Random(int(os.environ.get("SEED", "0"))), Path(folder) / "killed"
kills = working = 0
while kills < 20 or working < 3:
    # Mostly early, so that many attempts are needed; later where a busy machine got nowhere. The
    # store only ever grows.
    reach = 0.1 if kills < 20 else 0.4
    before = len(list(output.glob("shard-*.json"))) if output.exists() else 0
    status = attempt(output, rng.uniform(0.0, reach) * whole)
    kills += os.WIFSIGNALED(status)
    after = len(list(output.glob("shard-*.json"))) if output.exists() else 0
    assert after >= before, "a kill lost a shard"
    working += after > before
    if not os.WIFSIGNALED(status):
        break
attempt(output)
print(kills, working)
"""


@pytest.mark.slow
def test_a_store_that_was_killed_twenty_times_is_byte_identical(tmp_path: Path) -> None:
    from asl.models import build_embedder, save_embedder

    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(120):
        cv2.imwrite(
            str(photos / f"{number:03d}.jpg"),
            render_scene(number % 9, height=64 + number % 40, width=90),
        )
    (photos / "031.jpg").write_bytes(b"broken")
    save_embedder(
        build_embedder(backbone="mobilenetv3_small_050", size=96, dim=8).eval(),
        tmp_path / "m",
        card={},
    )
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        DRIVER,
        str(photos),
        str(next(tmp_path.glob("m*"))),
        str(tmp_path),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    kills, working = map(int, done.stdout.split())
    assert kills >= 20, "the attempts were killed while they worked"
    assert working >= 3, "and the store grew in between"
    sides = [
        {
            p.name: p.read_bytes()
            for p in (tmp_path / name).iterdir()
            if not p.name.endswith(".part")
        }
        for name in ("whole", "killed")
    ]
    assert len(sides[0]) == 81, "40 shards of two files, and the manifest"
    assert sides[0] == sides[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_decoding_ends_before_the_extraction_does(
    photos: Path,
    embedder: Embedder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    """What a finaliser ends later swallows an interrupt: the command went on and returned 0."""
    made = []

    def kept(*args: Any, **keys: Any) -> Any:
        made.append(decoded_batches(*args, **keys))
        return made[-1]

    monkeypatch.setattr(extraction, "decoded_batches", kept)
    extract(open_catalog(photos), embedder, output=tmp_path / "s", batch_size=5, workers=workers)
    assert [inspect.getgeneratorstate(batches) for batches in made] == [inspect.GEN_CLOSED]
