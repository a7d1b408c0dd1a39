"""Saved form of the result of a scan, from which a review starts: one sealed JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asl.app.library.facts import Facts
from asl.app.library.sync import SyncResult
from asl.app.pairs.origin import Origin
from asl.app.pairs.pair_verdict import PairVerdict
from asl.app.scanning.result import MatchedPair, ScanImage, ScanResult
from asl.scoring.library_calibration import LibraryCalibration
from asl.storage import read_json, write_json
from asl.types import AslError

SCAN_FILE = "scan.json"
FORMAT = "asl-scan-1"
REMEDY = "run the scan again"


def write_scan(result: ScanResult, path: Path) -> None:
    """Write a result; files that take part in no pair are counted, not listed.

    Raises:
        WriteError: the file cannot be written.
    """
    value = {
        "format": FORMAT,
        "roots": [[str(absolute), str(typed)] for absolute, typed in result.roots],
        "across": result.across,
        "threshold": result.threshold,
        "precision": result.precision,
        "store": _place(result.store, path.parent),
        "marks": _place(result.marks, path.parent),
        "model": result.model,
        "model_hash": result.model_hash,
        "counts": _counts(result),
        "seconds": result.seconds,
        "skipped": result.skipped,
        "marked_out": result.marked_out,
        "calibration": result.calibration.to_plain(),
        "failures": result.synced.failures,
        "unreadable_folders": result.unreadable_folders,
        "images": [{**asdict(image), "facts": asdict(image.facts)} for image in result.images],
        "pairs": [_plain_pair(pair) for pair in result.pairs],
    }
    write_json(path, value)


def _place(path: Path, folder: Path) -> str:
    """Return a path relative to the folder that holds it, so that the folder can be moved."""
    absolute, folder = path.absolute(), folder.absolute()
    return (
        absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute
    ).as_posix()


def _counts(result: ScanResult) -> dict[str, int]:
    return {
        "files": result.files,
        "compared": result.compared,
        "candidates": result.candidates,
        "hopeless": result.hopeless,
        "recalled": result.recalled,
        "uncompared": result.uncompared,
        "links": result.links,
        "raw_twins": result.raw_twins,
        "left_out": result.left_out,
        "embedded": result.synced.embedded,
        "reused": result.synced.reused,
        "forgotten": result.synced.forgotten,
    }


def _plain_pair(pair: MatchedPair) -> dict[str, Any]:
    return {
        "original": pair.original,
        "copy": pair.copy,
        "cosine": pair.cosine,
        "packaged": pair.packaged,
        "back_edits": pair.back_edits,
        "weights": [pair.weight, pair.back_weight],
        "same_moment": pair.same_moment,
        "near_moment": pair.near_moment,
        "vote": pair.origin.vote,
        "why": pair.origin.why,
        "verdict": asdict(pair.verdict),
    }


def read_scan(path: Path) -> ScanResult:
    """Read a result that :func:`write_scan` wrote.

    Raises:
        AslError: the file is missing, damaged, or of another version.
    """
    raw = read_json(path, remedy=REMEDY)
    if raw.get("format") != FORMAT:
        raise AslError(f"{path}: its format is {raw.get('format')!r}, not {FORMAT!r}; {REMEDY}")
    try:
        return _result(raw, path.parent)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise AslError(f"{path}: damaged ({type(error).__name__}: {error}); {REMEDY}") from error


def _result(raw: dict[str, Any], folder: Path) -> ScanResult:
    images = [_image(entry) for entry in raw["images"]]
    pairs = [_pair(entry) for entry in raw["pairs"]]
    for pair in pairs:
        if not (0 <= pair.original < len(images) and 0 <= pair.copy < len(images)):
            raise ValueError(f"a pair names image {max(pair.original, pair.copy)}")
    counts = raw["counts"]
    digests = {path: image.digest for image in images for path in image.paths}
    synced = SyncResult(
        digests, raw["failures"], counts["embedded"], counts["reused"], counts["forgotten"]
    )
    return ScanResult(
        roots=tuple((Path(absolute), Path(typed)) for absolute, typed in raw["roots"]),
        across=bool(raw["across"]),
        images=images,
        pairs=pairs,
        threshold=float(raw["threshold"]),
        precision=float(raw["precision"]),
        synced=synced,
        files=counts["files"],
        compared=counts["compared"],
        candidates=counts["candidates"],
        uncompared=counts["uncompared"],
        hopeless=counts.get("hopeless", 0),  # scans of earlier versions compared all
        recalled=counts.get("recalled", 0),
        store=folder / raw["store"],
        links=counts["links"],
        raw_twins=counts["raw_twins"],
        left_out=counts["left_out"],
        skipped=raw["skipped"],
        unreadable_folders=raw["unreadable_folders"],
        seconds=raw["seconds"],
        model=raw["model"],
        model_hash=raw["model_hash"],
        marks=folder / raw["marks"],
        marked_out=raw["marked_out"],
        calibration=LibraryCalibration.from_plain(raw["calibration"]),
    )


def _image(entry: dict[str, Any]) -> ScanImage:
    facts = Facts.from_json(json.dumps(entry["facts"]))
    whole = {**entry, "facts": facts}
    for key in ("paths", "in_library"):
        whole[key] = tuple(entry[key])
    if not whole["paths"] or len(whole["paths"]) != len(whole["in_library"]):
        raise ValueError("an image has no path, or other numbers of paths and sides")
    return ScanImage(**whole)


def _pair(entry: dict[str, Any]) -> MatchedPair:
    return MatchedPair(
        original=int(entry["original"]),
        copy=int(entry["copy"]),
        cosine=float(entry["cosine"]),
        verdict=PairVerdict.from_json(json.dumps(entry["verdict"])),
        origin=Origin(float(entry["vote"]), str(entry["why"])),
        back_edits=tuple(map(str, entry["back_edits"])),
        weight=int(entry["weights"][0]),
        back_weight=int(entry["weights"][1]),
        same_moment=bool(entry["same_moment"]),
        near_moment=bool(entry["near_moment"]),
        packaged=None if entry["packaged"] is None else float(entry["packaged"]),
    )
