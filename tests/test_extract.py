"""The command: parts on several machines, the joined store, the index."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.cli import compose
from asl.data.scenes import render_scene
from asl.extract import run
from asl.features import FeatureStore, feature_store
from asl.features.array_jobs import join_parts, part_path
from asl.features.regions import region_embeddings, regions_of
from asl.index.saved_index import SavedIndex
from asl.models import build_embedder, save_embedder
from asl.storage import write_json
from asl.types import AslError, UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extract")
    (folder / "photos").mkdir()
    for number in range(11):
        image = render_scene(number, height=60 + number, width=80)
        cv2.imwrite(str(folder / "photos" / f"{number:02d}.png"), image[..., ::-1])
    (folder / "photos" / "05.png").write_bytes(b"broken")
    save_embedder(
        build_embedder(backbone="mobilenetv3_small_050", size=48, dim=8).eval(),
        folder / "m.safetensors",
        card={},
    )
    return folder


def command(files: Path, output: Path, *more: str) -> int:
    keys = [
        f"images={files / 'photos'}",
        f"model={files / 'm.safetensors'}",
        f"output={output}",
        "workers=0",
    ]
    return run(compose("extract", [*keys, "batch_size=2", "shard_size=3", *more]))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("parts", [1, 3, 6])
def test_joined_parts_are_byte_identical_to_one_extraction(
    files: Path, tmp_path: Path, parts: int
) -> None:
    command(files, tmp_path / "whole")
    with pytest.raises(AslError, match="not a feature store"):
        command(files, tmp_path / "joined", f"merge={parts}")
    for part in range(parts, 0, -1):
        command(files, tmp_path / "joined", f"part={part}/{parts}")
    for _ in range(2):  # joined again, it stays as it is
        assert (
            command(files, tmp_path / "joined", f"merge={parts}", f"index={tmp_path / 'index'}")
            == 0
        )
    assert contents(tmp_path / "joined") == contents(tmp_path / "whole")
    index, store = SavedIndex.open(tmp_path / "index"), FeatureStore.open(tmp_path / "whole")
    assert sorted(index.ids.tolist()) == sorted(store.ids.tolist())
    assert index.manifest["model"] == store.manifest["model"]


def test_an_interrupted_join_goes_on_and_a_damaged_part_is_named(
    files: Path, tmp_path: Path
) -> None:
    for part in (1, 2):
        command(files, tmp_path / "s", f"part={part}/2")
    parts = [FeatureStore.open(part_path(tmp_path / "s", part, 2)) for part in (1, 2)]
    last = parts[1].path / f"{parts[1].manifest['shards'][-1]['name']}.npy"
    good = last.read_bytes()
    last.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(AslError, match="is not what was written; extract this part again"):
        join_parts(tmp_path / "s", parts)
    last.write_bytes(good)
    assert len(join_parts(tmp_path / "s", parts)) == 10
    with pytest.raises(AslError, match="choose another output"):
        join_parts(tmp_path / "s", parts[1:])


def test_parts_that_overlap_because_images_came_between_are_refused(
    files: Path, tmp_path: Path
) -> None:
    shutil.copytree(files, tmp_path / "f")
    command(tmp_path / "f", tmp_path / "s", "part=1/2")
    for number in range(6):
        shutil.copy(files / "photos" / "00.png", tmp_path / "f" / "photos" / f"!{number}.png")
    command(tmp_path / "f", tmp_path / "s", "part=2/2")
    command(tmp_path / "f", tmp_path / "s", "part=1/2")
    with pytest.raises(
        AslError, match=r"merge: '0\d.png' is in .* and in .*, as the images changed meanwhile"
    ):
        command(tmp_path / "f", tmp_path / "s", "merge=2")


def test_several_processes_need_a_part_each(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="each of 2 processes needs a part of its own"):
        command(files, tmp_path / "s")
    command(files, tmp_path / "s", "part=1/2")


def test_shards_in_a_folder_are_one_catalog(files: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for number in range(2):
        with tarfile.open(tmp_path / "shards" / f"{number}.tar", "w") as archive:
            for image in range(5 * number, 5 * number + 5):
                archive.add(files / "photos" / f"{image:02d}.png", f"{image:02d}.png")
    command(files, tmp_path / "shards-store", f"images={tmp_path / 'shards'}")
    command(files, tmp_path / "files-store")
    shards, whole = (FeatureStore.open(tmp_path / name) for name in ("shards-store", "files-store"))
    assert shards.ids.tolist() == whole.ids.tolist()[:9]
    np.testing.assert_allclose(shards.features(), whole.features()[:9], atol=1e-5)
    assert [name for name, _ in shards.failures] == ["05.png"]


def test_an_unfinished_part_is_noticed(files: Path, tmp_path: Path) -> None:
    for part in (1, 2):
        command(files, tmp_path / "s", f"part={part}/2")
    manifest = part_path(tmp_path / "s", 2, 2) / "manifest.json"
    buffer = io.StringIO(manifest.read_text())
    import json

    facts = json.load(buffer)
    facts["shards"].pop()
    write_json(manifest, facts)
    with pytest.raises(AslError, match=r"2 images are in no part, e\.g\. '09\.png'"):
        command(files, tmp_path / "s", "merge=2")


def test_keys_that_exclude_each_other_are_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="index: is written from a whole store"):
        command(files, tmp_path / "s", "part=1/2", f"index={tmp_path / 'i'}")
    with pytest.raises(UsageError, match="merge: expected"):
        command(files, tmp_path / "s", "part=1/2", "merge=2")
    with pytest.raises(UsageError, match="prune: is for stores of one machine"):
        command(files, tmp_path / "s", "part=1/2", "prune=1")
    with pytest.raises(
        UsageError, match=r"milvus_index: has no effect without index=milvus\+ADDRESS"
    ):
        command(files, tmp_path / "s", "milvus_index=HNSW", f"index={tmp_path / 'i'}")
    with pytest.raises(UsageError, match=r"prune: must be in 0\.\.1, got 2"):
        command(files, tmp_path / "s", "prune=2")
    with pytest.raises(UsageError, match="milvus_index: DISKANN needs a server"):
        command(files, tmp_path / "s", "milvus_index=DISKANN", f"index=milvus+{tmp_path / 'l.db'}")
    with pytest.raises(UsageError, match="milvus_index: expected one of"):
        command(files, tmp_path / "s", "milvus_index=HMSW", f"index=milvus+{tmp_path / 'l.db'}")
    assert not (tmp_path / "s").exists()


def test_a_second_run_says_how_many_images_are_new(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = shutil.copytree(files / "photos", tmp_path / "photos")
    aside = shutil.move(photos / "09.png", tmp_path / "09.png")
    said = []
    for new in (None, None, aside):
        if new:
            shutil.move(new, photos / "09.png")
            shutil.copy(photos / "01.png", photos / "02.png")  # changed: embedded again
        capsys.readouterr()
        command(files, tmp_path / "s", f"images={photos}")
        said.append(capsys.readouterr().out.splitlines()[0])
    assert said == [
        f"9 images embedded, 1 failed: {tmp_path / 's'}",
        f"9 images embedded (0 new, 9 known), 1 failed: {tmp_path / 's'}",
        f"10 images embedded (2 new, 8 known), 1 failed: {tmp_path / 's'}",
    ]


def test_pruned_images_leave_the_store_and_its_index_and_may_come_back(
    files: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(files / "photos", tmp_path / "photos")
    keys = [f"images={photos}", f"index={tmp_path / 'index'}"]
    command(files, tmp_path / "s", *keys)
    before = FeatureStore.open(tmp_path / "s").embeddings()
    aside = [shutil.move(photos / name, tmp_path / name) for name in ("02.png", "05.png", "09.png")]
    command(files, tmp_path / "s", *keys)
    assert len(SavedIndex.open(tmp_path / "index")) == 10, "what is gone stays unless it is said"
    with pytest.raises(
        AslError, match=r"prune: 3 of 11 images of .* are not among the images, e\.g\. '02\.png'"
    ):
        command(files, tmp_path / "s", *keys, "prune=0.2")
    for _ in range(2):
        command(files, tmp_path / "s", *keys, "prune=0.5")
        store = FeatureStore.open(tmp_path / "s")
        left = [name for name in before.ids.tolist() if name not in ("02.png", "09.png")]
        assert (store.ids.tolist(), store.failures) == (left, [])
        assert sorted(SavedIndex.open(tmp_path / "index").ids.tolist()) == left
        assert np.array_equal(
            store.embeddings().vectors, before.take(np.isin(before.ids, left)).vectors
        )
    assert len(store.manifest["shards"]) == 5, "nothing is written where nothing is gone"
    for path in aside:
        shutil.move(path, photos / path.name)
    command(files, tmp_path / "s", *keys, "prune=0.5")
    store = FeatureStore.open(tmp_path / "s")
    assert len(store.failures) == 1
    np.testing.assert_allclose(store.embeddings(before.ids).vectors, before.vectors, atol=1e-5)


def test_a_shard_that_is_not_what_was_written_is_found_where_asked_for(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "_CHECKED_BYTES", 0)  # as for a large store
    command(files, tmp_path / "s")
    shard = tmp_path / "s" / "shard-00001.npy"
    data = bytearray(shard.read_bytes())
    data[-3] ^= 1
    shard.write_bytes(data)
    command(files, tmp_path / "s")
    with pytest.raises(AslError, match="shard-00001 is not what was written"):
        command(files, tmp_path / "s", "check_files=true")
    with monkeypatch.context() as small:
        small.setattr(feature_store, "_CHECKED_BYTES", 1 << 20)
        with pytest.raises(AslError, match="shard-00001 is not what was written"):
            command(files, tmp_path / "s")
    command(files, tmp_path / "t", "regions=coarse")
    part = next((tmp_path / "t" / "regions").glob("*")) / "shard-00002.npy"
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(AslError, match="shard-00002 is not what was written"):
        command(files, tmp_path / "t", "check_files=true")
    command(files, tmp_path / "joined", "part=1/1")
    command(files, tmp_path / "joined", "merge=1")
    (tmp_path / "joined" / "shard-00003.json").unlink()
    with pytest.raises(AslError, match=r"shard-00003\.json: cannot be read"):
        command(files, tmp_path / "joined", "merge=1", "check_files=true")


def test_a_prune_that_would_leave_nothing_changes_nothing(files: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(files / "photos", tmp_path / "photos")
    keys = [f"images={photos}", f"index={tmp_path / 'index'}", "max_failure_rate=1"]
    command(files, tmp_path / "s", *keys)
    for path in photos.glob("*.png"):
        if path.name != "05.png":  # the one that cannot be read
            path.unlink()
    with pytest.raises(AslError, match="prune: nothing would be left"):
        command(files, tmp_path / "s", *keys, "prune=1")
    assert len(FeatureStore.open(tmp_path / "s")) == len(SavedIndex.open(tmp_path / "index")) == 10


def test_regions_go_and_come_with_their_images(files: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(files / "photos", tmp_path / "photos")
    keys = [f"images={photos}", "regions=coarse"]
    command(files, tmp_path / "s", *keys)
    (photos / "03.png").unlink()
    command(files, tmp_path / "s", *keys, "prune=0.1")
    for path in (tmp_path / "s", *(tmp_path / "s" / "regions").iterdir()):
        assert "03.png" not in FeatureStore.open(path).stamps()
    shutil.copy(files / "photos" / "04.png", photos / "03.png")
    shutil.copy(files / "photos" / "00.png", photos / "01.png")
    command(files, tmp_path / "s", f"images={photos}")
    store = FeatureStore.open(tmp_path / "s")
    with pytest.raises(AslError, match=r"1 other image in it, e\.g\. '01\.png'; extract again"):
        region_embeddings(store, regions_of("coarse"), store.embeddings(["00.png", "01.png"]))
    command(files, tmp_path / "s", *keys)
    assert len(region_embeddings(store, regions_of("coarse"), store.embeddings())) == 6


def test_a_store_that_another_process_writes_is_left_alone(
    files: Path, tmp_path: Path, commands: Path
) -> None:
    command(files, tmp_path / "s")
    command(files, tmp_path / "s", "part=1/1")
    holder = "import sys, pathlib; from asl.features.writer_lock import one_writer\n"
    holder += (
        "with one_writer([pathlib.Path(sys.argv[1])]): print('held', flush=True); sys.stdin.read()"
    )
    for more in ((), ("prune=1",), ("merge=1",)):
        process = subprocess.Popen(
            [commands / "python", "-c", holder, str(tmp_path / "s")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            with pytest.raises(AslError, match="another process writes into it"):
                command(files, tmp_path / "s", *more)
        finally:
            process.communicate()
        command(files, tmp_path / "s", *more)


def test_a_collection_keeps_what_other_stores_put_there(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    from asl.index.milvus.address import open_served

    photos, others, address = (
        tmp_path / "photos",
        tmp_path / "others",
        f"milvus+{tmp_path / 'l.db'}",
    )
    for folder, names in ((photos, ("00", "01", "02")), (others, ("08", "09"))):
        folder.mkdir()
        for name in names:
            shutil.copy(files / "photos" / f"{name}.png", folder)
        command(files, tmp_path / f"{folder.name}.store", f"images={folder}", f"index={address}")
    (photos / "01.png").unlink()
    command(files, tmp_path / "photos.store", f"images={photos}", f"index={address}", "prune=0.5")
    index = open_served(address)
    assert index.ids() == ["00.png", "02.png", "08.png", "09.png"]
    index.close()
