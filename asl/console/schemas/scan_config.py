"""Find copies in a folder of photographs, or against a library; no labels needed.

Examples:
  asl scan PHOTOS                                      copies within a folder
  asl scan PHOTOS MORE/PHOTOS                          copies within several folders
  asl scan PHOTOS --exclude "*.png" thumbs             without PNGs and folders called thumbs
  asl scan NEW --against LIBRARY                       new images that come from the library
  asl scan PHOTOS --output found --format parquet      found/copies.parquet, found/gallery.html
  asl scan PHOTOS --precision 0.99                     fewer, surer pairs
  asl scan PHOTOS --local-candidates 0                 quicker, misses small crops and overlays
  asl scan PHOTOS --compare all                        of many photos slower, misses the least
  asl scan PHOTOS --exit-code                          for scripts: exit code 3 if copies were found

PHOTOS and LIBRARY are folders (searched through all levels), an image, or a .txt/.csv list of
paths. OUTPUT gets copies.csv (one row per pair: group, original, copy, probability, direction, why,
edits), gallery.html (open it in a browser; move the slider), summary.json, unreadable.csv where
files could not be read, and the cache: the next scan reads only files that are new or changed, also
after they were moved. `asl cache` shows what scans into other folders share.

Exit code: 0 done, 3 done and copies were found (with --exit-code), 1 failed or too many files are
unreadable, 2 wrong use, 130 stopped from the keyboard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asl.console.schema_groups import CheckedChoices
from asl.console.schemas.shared_keys import Compare, Regions
from asl.shared_defaults import LOCAL_CANDIDATES, MAX_FAILURE_RATE, MODEL, NEIGHBOURS, PRECISION


@dataclass(kw_only=True)
class ScanInputs:
    """Photographs and results.

    Attributes:
        photos: folders, images, or lists of paths.
        against: folders, images or lists to search for originals (and copies) instead of PHOTOS.
        exclude: patterns of file names, folder names or paths inside a folder to leave out.
        min_size: files of fewer kilobytes are left out.
        output: folder of the results.
        cache: what is remembered between scans; null: OUTPUT/cache.sqlite, with the model in its
            name.
        check_files: check the whole cache first, not only what is read.
        precision: share of the reported pairs that should be right.
        calibration: library: of the answers that `asl review` collected, where there are enough;
            packaged: of the package.
        format: format of the table.
        gallery: most pairs in the page; 0: no page.
        exit_code: exit with 3 where copies were found.
        quiet: print nothing but errors.
    """

    photos: list[Path]
    against: list[Path] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    min_size: int = 0
    output: Path = Path("asl-scan")
    cache: Path | None = None
    check_files: bool = False
    precision: float = PRECISION
    calibration: Literal["library", "packaged"] = "library"
    format: Literal["csv", "parquet", "json"] = "csv"
    gallery: int = 2000
    exit_code: bool = False
    quiet: bool = False


@dataclass(kw_only=True)
class ScanCandidates:
    """Candidates.

    Attributes:
        neighbours: candidates per photo by its embedding.
        local_candidates: candidates per photo by local features; 0: none.
        regions: regions to embed as well; slow.
        effort: pairs to consider per photo, on average; at least 10,000 pairs in all.
        compare: promising: pairs that can match by their cosine, votes and a quick test of their
            features (packaged models; others compare all); all: every one of them; auto: all of
            up to 1,000 photos, promising ones of more.
    """

    neighbours: int = NEIGHBOURS
    local_candidates: int = LOCAL_CANDIDATES
    regions: Regions = "none"
    effort: float = 2.0
    compare: Compare = "auto"


@dataclass(kw_only=True)
class ScanMachine:
    """Model, limits and machine.

    Attributes:
        model: asl_lite0, asl_lite1 or a trained model.
        max_failure_rate: share of unreadable files that is tolerated.
        max_megapixels: largest photo in megapixels; JPEGs may have four times that.
        workers: processes that compare; null: one per core.
        device: auto, cpu, cuda.
    """

    model: str = MODEL
    max_failure_rate: float = MAX_FAILURE_RATE
    max_megapixels: float = 100
    workers: int | None = None
    device: str = "auto"


@dataclass(kw_only=True)
class ScanConfig(ScanInputs, ScanCandidates, ScanMachine, CheckedChoices):
    """Options of ``asl scan``."""
