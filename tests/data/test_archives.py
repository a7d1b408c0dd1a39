"""Tar archives: shards numbered from 0, links inside, a truncated one among good ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from asl.data.catalog import open_catalog
from asl.types import AslError


def pack(path: Path, members: dict[str, bytes | tuple[bytes, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(data, tuple):
                member.type, member.linkname = data
                archive.addfile(member)
            else:
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def test_shards_that_are_numbered_from_0_each(tmp_path: Path) -> None:
    for shard in range(2):
        members = {f"{n:06d}.jpg": b"%d%d" % (shard, n) for n in range(3)}
        pack(tmp_path / f"{shard:05d}.tar", members | {"000000.json": b"{}"})
    catalog = open_catalog(tmp_path)
    assert catalog.ids.tolist() == [f"0000{s}/00000{n}.jpg" for s in range(2) for n in range(3)]
    assert [catalog.read(row) for row in (0, 5)] == [b"00", b"12"]
    assert open_catalog(tmp_path, id_style="stem").ids.tolist()[3] == "00001/000000"
    assert "00001.tar::00001/000002.jpg" in catalog.locate(5)


def test_shards_of_their_own_names_keep_them(tmp_path: Path) -> None:
    for shard in "ab":
        pack(tmp_path / "deep" / f"{shard}.tar", {f"{shard}.jpg": b"x"})
    assert open_catalog(tmp_path).ids.tolist() == ["a.jpg", "b.jpg"]


def test_links_are_followed(tmp_path: Path) -> None:
    members = {
        "real/a.bin": b"A",
        "./real/b.jpg": b"B",
        "hard.jpg": (tarfile.LNKTYPE, "real/a.bin"),
        "other/soft.jpg": (tarfile.SYMTYPE, "../hard.jpg"),
    }
    path = pack(tmp_path / "a.tar", members)
    catalog = open_catalog(path)
    assert dict(zip(catalog.ids.tolist(), map(catalog.read, range(3)), strict=True)) == {
        "real/b.jpg": b"B",
        "hard.jpg": b"A",
        "other/soft.jpg": b"A",
    }
    stamps = {catalog.stamp(row) for row in range(3)}
    assert len(stamps) == 2


@pytest.mark.parametrize("target", ["gone.jpg", "loop.jpg", "/etc/passwd", "../../x.jpg"])
def test_a_link_to_nothing_is_named(tmp_path: Path, target: str) -> None:
    path = pack(tmp_path / "a.tar", {"a.jpg": b"A", "loop.jpg": (tarfile.SYMTYPE, target)})
    with pytest.raises(AslError, match=rf"a\.tar: loop\.jpg is a link to .*{target[-5:]}, which"):
        open_catalog(path)


def test_a_truncated_shard_among_good_ones_is_named(tmp_path: Path) -> None:
    for shard in "01":
        pack(tmp_path / f"{shard}.tar", {f"{shard}{n}.jpg": bytes(2000) for n in range(4)})
    data = (tmp_path / "1.tar").read_bytes()
    (tmp_path / "1.tar").write_bytes(data[: 2 * 2560 + 900])
    with pytest.raises(AslError, match=r"1\.tar: truncated after \d images?.*copy it again"):
        open_catalog(tmp_path)
    (tmp_path / "1.tar").write_bytes(b"x" * 600)
    with pytest.raises(AslError, match=r"1\.tar: not an uncompressed tar archive"):
        open_catalog(tmp_path)


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", {"a/x.jpg": b"1", "b/x.jpg": b"2"})
    assert len(open_catalog(path)) == 2
    with pytest.raises(AslError, match=r"a/x\.jpg and b/x\.jpg get the same id 'x'"):
        open_catalog(path, id_style="stem")
