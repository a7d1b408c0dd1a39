from __future__ import annotations

import io
import os
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asl.data import signatures
from asl.data.catalog import Catalog, CatalogLoader, open_catalog, subset
from asl.types import AslError, UsageError


def jpeg(level: int) -> bytes:
    import cv2

    data: bytes = cv2.imencode(".jpg", np.full((8, 8, 3), level, np.uint8))[1].tobytes()
    return data


IMAGES = {"a.jpg": jpeg(10), "sub/b.jpg": jpeg(90), "ü c.png": jpeg(200)}


@pytest.fixture(params=["folder", "txt", "csv", "tar", "parquet"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for name, data in IMAGES.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "photos" / "notes.md").write_text("no image")
    (tmp_path / "photos" / ".thumbs").mkdir()
    (tmp_path / "photos" / ".thumbs" / "x.jpg").write_bytes(b"")
    names = list(IMAGES)
    if request.param == "txt":
        (tmp_path / "photos" / "list.txt").write_text("\n".join(names) + "\n")
        return tmp_path / "photos" / "list.txt"
    if request.param == "csv":
        (tmp_path / "photos" / "list.csv").write_text(
            "path,note\n" + "\n".join(f"{name},x" for name in names)
        )
        return tmp_path / "photos" / "list.csv"
    if request.param == "tar":
        with tarfile.open(tmp_path / "p.tar", "w") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(IMAGES[name])
                archive.addfile(member, io.BytesIO(IMAGES[name]))
        return tmp_path / "p.tar"
    if request.param == "parquet":
        pq.write_table(
            pa.table({"id": names, "image": list(IMAGES.values())}),
            tmp_path / "p.parquet",
            row_group_size=2,
        )
        return tmp_path / "p.parquet"
    return tmp_path / "photos"


def test_the_first_bytes_of_a_single_file_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "_installed", lambda module: False)
    jpeg, heic = b"\xff\xd8\xff\xe0" + bytes(40), b"\0\0\0\x18ftypheic" + bytes(40)
    for name, data in (("a.HEIC", jpeg), ("b", jpeg), ("c.jif", jpeg)):
        (tmp_path / name).write_bytes(data)
        assert open_catalog(tmp_path / name).ids.tolist() == [name]
    for name, data, reason in (
        ("d.heic", heic, r"d\.heic: has 1 \.heic \(to read them: pip install"),
        ("e", heic, r"e: has 1 HEIC \(to read them: pip install"),
        ("f.cr2", b"II*\0" + bytes(40), r"f\.cr2: has 1 \.cr2 \(to read them"),
        ("g.psd", b"", r"g\.psd: has 1 \.psd \(formats this cannot read\)"),
        ("h.doc", b"text", r"h\.doc: expected a folder, an image"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AslError, match=reason):
            open_catalog(tmp_path / name)


def test_a_folder_of_unreadable_formats_says_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "_installed", lambda module: False)
    for name in ("a.heic", "b.HEIC", "c.dng"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        AslError, match=r"has 2 \.heic, 1 \.dng \(to read them: pip install .*\), but no image"
    ):
        open_catalog(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
def test_a_file_name_that_is_no_utf8_gives_an_id_that_can_be_written(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/l\xe9.jpg")).write_bytes(IMAGES["a.jpg"])
    catalog = open_catalog(tmp_path)
    assert catalog.ids.tolist() == ["l\\xe9.jpg"]
    assert catalog.read(0) == IMAGES["a.jpg"]
    assert open_catalog(tmp_path, id_style="stem").ids.tolist() == ["l\\xe9"]
    catalog.locate(0).encode()


def test_every_source_gives_ids_and_bytes(source: Path) -> None:
    catalog = open_catalog(source)
    assert isinstance(catalog, Catalog)
    assert catalog.ids.tolist() == list(IMAGES)
    assert [catalog.read(row) for row in (2, 0, 1)] == [
        IMAGES[name] for name in ("ü c.png", "a.jpg", "sub/b.jpg")
    ]
    assert all("photos" in catalog.locate(row) or "p." in catalog.locate(row) for row in range(3))
    again = pickle.loads(pickle.dumps(catalog))
    assert again.read(1) == IMAGES["sub/b.jpg"]
    assert open_catalog(source, id_style="stem").ids.tolist() == ["a", "b", "ü c"]


def test_some_rows_and_a_loader_by_id(source: Path) -> None:
    part = subset(open_catalog(source), [2, 0])
    assert part.ids.tolist() == ["ü c.png", "a.jpg"]
    assert part.read(0) == IMAGES["ü c.png"]
    assert CatalogLoader.of(part)("a.jpg").shape == (8, 8, 3)
    with pytest.raises(AslError, match="has no image"):
        CatalogLoader.of(part)("sub/b.jpg")


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("Käse.jpg".encode("latin-1"))
    with pytest.raises(AslError, match="as a list in UTF-8"):
        open_catalog(tmp_path / "latin.txt")
    (tmp_path / "long.csv").write_text(f"id,path\na,{'x' * 200_000}.jpg\n")
    with pytest.raises(AslError, match=r"long\.csv: cannot be read as CSV"):
        open_catalog(tmp_path / "long.csv")
    (tmp_path / "nul.csv").write_text("id,path\na,a\0.jpg\n")
    with pytest.raises(AslError, match=r"nul\.csv: has a NUL"):
        open_catalog(tmp_path / "nul.csv")
    (tmp_path / "short.csv").write_text("id,path\na,a.jpg\nfoo\n")
    with pytest.raises(AslError, match="row 2 below the header has no path"):
        open_catalog(tmp_path / "short.csv")


@pytest.mark.parametrize(
    ("name", "text"),
    [("notes.txt", "Dear diary,\nrain.\n"), ("t.csv", "path\nDear diary,\nrain\n")],
)
def test_a_text_that_lists_no_file_is_refused_as_a_list(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    said = rf"{name}: read as a list of paths, whose 2 rows lead to no file, e\.g\. 'Dear diary"
    with pytest.raises(AslError, match=said):
        open_catalog(tmp_path / name)
    (tmp_path / "rain").write_bytes(IMAGES["a.jpg"])
    (tmp_path / "rain.").write_bytes(IMAGES["a.jpg"])
    assert len(open_catalog(tmp_path / name)) == 2, "one file is enough; the other is unreadable"


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        open_catalog(tmp_path / "none")
    with pytest.raises(AslError, match="no image in it"):
        open_catalog(tmp_path)
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match="expected a folder"):
        open_catalog(tmp_path / "x.zip")
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.jpg").write_bytes(jpeg(1))
    with pytest.raises(AslError, match="'same'"):
        open_catalog(tmp_path, id_style="stem")
    (tmp_path / "broken.tar").write_bytes(b"no tar at all")
    with pytest.raises(AslError, match="tar"):
        open_catalog(tmp_path / "broken.tar")
