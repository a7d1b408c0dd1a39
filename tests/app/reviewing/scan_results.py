"""Results of a scan, written without a model: real files, verdicts made up."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from asl.app.library.facts import read_facts
from asl.app.library.sync import SyncResult
from asl.app.pairs.origin import Origin
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.scanning.result import MatchedPair, ScanImage, ScanResult
from asl.app.scanning.scan_file import SCAN_FILE, write_scan
from asl.data.images import decode_image
from tests.app.conftest import crop, encode, textured

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
MIDDLE = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))


@dataclass(frozen=True)
class SavedScan:
    """A folder of photographs and the folder of its scan."""

    photos: Path
    folder: Path
    result: ScanResult


def save_scan(tmp_path: Path, *, library: tuple[str, ...] = ()) -> SavedScan:
    """p0 and its crop and collage, p1 and a smaller one, p2 twice, p3 and p3-again (unclear)."""
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    pictures = [textured(seed, 150, 200) for seed in range(4)]
    for seed, picture in enumerate(pictures):
        (photos / f"p{seed}.jpg").write_bytes(encode(picture, quality=95))
    (photos / "sub" / "crop of 0.jpg").write_bytes(encode(crop(pictures[0]), quality=90))
    wall = np.concatenate([pictures[0], textured(40, 150, 400)], axis=1)
    (photos / "collage.png").write_bytes(encode(wall, "PNG"))
    (photos / "small-1.png").write_bytes(encode(cv2.resize(pictures[1], (100, 75)), "PNG"))
    shutil.copy(photos / "p2.jpg", photos / "p2 (1).jpg")
    (photos / "p3-again.jpg").write_bytes(encode(pictures[3], quality=70))
    files = {
        name: photos / name
        for name in (
            "p0.jpg",
            "sub/crop of 0.jpg",
            "collage.png",
            "p1.jpg",
            "small-1.png",
            "p3.jpg",
            "p3-again.jpg",
        )
    }
    images = [_image(path, name in library) for name, path in files.items()]
    twice = _image(photos / "p2.jpg", False, photos / "p2 (1).jpg")
    images.append(twice)
    place = {name: number for number, name in enumerate(files)}
    pairs = [
        _pair(place, "p0.jpg", "sub/crop of 0.jpg", 0.99, ("cropped to 36 %",), first=0.36),
        _pair(place, "p0.jpg", "collage.png", 0.97, ("pasted into another picture",), second=0.33),
        _pair(place, "p1.jpg", "small-1.png", 0.965, ("made smaller (to 50 %)",)),
        _pair(place, "p3.jpg", "p3-again.jpg", 0.96, ("strongly compressed",), vote=0.2),
    ]
    digests = {path: image.digest for image in images for path in image.paths}
    folder = tmp_path / "out"
    folder.mkdir()
    result = ScanResult(
        roots=((photos, photos),),
        across=bool(library),
        images=images,
        pairs=sorted(pairs, key=lambda pair: -pair.probability),
        threshold=0.6,
        precision=0.9,
        synced=SyncResult(digests, {}, len(digests), 0, 0),
        files=len(digests),
        compared=9,
        candidates=9,
        uncompared=0,
        store=folder / "cache.sqlite",
        marks=folder / "cache-marks.json",
    )
    write_scan(result, folder / SCAN_FILE)
    return SavedScan(photos, folder, result)


def with_undecoded_name(saved: SavedScan, name: str) -> SavedScan:
    """Rename a photograph to ``\\xff.png``, whose name is no UTF-8; the scan lists it escaped."""
    before, shown = str(saved.photos / name), str(saved.photos / "\\xff.png")
    Path(before).rename(saved.photos / os.fsdecode(b"\xff.png"))
    images = [
        replace(image, paths=tuple(shown if path == before else path for path in image.paths))
        for image in saved.result.images
    ]
    digests = {path: image.digest for image in images for path in image.paths}
    synced = replace(saved.result.synced, digests=digests)
    result = replace(saved.result, images=images, synced=synced)
    write_scan(result, saved.folder / SCAN_FILE)
    return replace(saved, result=result)


def _image(path: Path, in_library: bool, *others: Path) -> ScanImage:
    data = path.read_bytes()
    facts = read_facts(data, decode_image(data))
    paths = tuple(str(each) for each in (path, *others))
    sides = (in_library,) * len(paths)
    return ScanImage(paths, sides, hashlib.sha256(data).hexdigest(), facts, 3.0)


def _pair(
    place: dict[str, int],
    original: str,
    copy: str,
    probability: float,
    edits: tuple[str, ...],
    *,
    first: float = 1.0,
    second: float = 1.0,
    vote: float = 3.0,
) -> MatchedPair:
    verdict = PairVerdict(
        probability / 2,
        probability,
        MIDDLE if first < 1 else WHOLE,
        WHOLE,
        share_first=first,
        share_second=second,
        edits=edits,
        reason="all of the query matches the reference",
    )
    return MatchedPair(
        place[original],
        place[copy],
        0.8,
        verdict,
        Origin(vote, "more detail"),
        back_edits=("enlarged",),
        weight=round(1000 * vote),
        back_weight=round(-1000 * vote),
    )
