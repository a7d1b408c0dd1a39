"""``asl scan`` as a function: find the copies in a folder, or those that come from a library."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from asl.app.matches import picture_html
from asl.app.scanning.pair_comparer import Bar
from asl.app.scanning.result import ScanResult
from asl.app.scanning.scan_folder import scan
from asl.app.scanning.tables import Row, rows_of
from asl.console.schemas.scan_config import ScanConfig
from asl.console.schemas.shared_keys import Compare, Regions
from asl.counts import counted
from asl.shared_defaults import LOCAL_CANDIDATES, MODEL, PRECISION
from asl.types import UsageError

_LISTED = 20  # pairs that a notebook shows


@dataclass(frozen=True, repr=False)
class Copies:
    """Pairs of files that a scan accepted, by group, surest first.

    Iterate over it for its rows; a notebook shows the first pairs with their pictures.

    Attributes:
        rows: one per pair: original, copy, probability, direction, edits, reason ...
        failures: path -> why the file (or folder) could not be read; such files were not compared.
        files: number of files found; those in ``failures`` included.
        precision: share of the pairs that should be right.
        threshold: probability from which a pair is accepted for it.
        hopeless: number of candidate pairs that were skipped because they cannot match.
    """

    rows: tuple[Row, ...]
    failures: dict[str, str]
    files: int
    precision: float
    threshold: float
    hopeless: int
    _pictures: dict[str, bytes] = field(compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __repr__(self) -> str:
        groups = len({row.group for row in self.rows})
        unread = f", {len(self.failures)} unreadable" if self.failures else ""
        pairs, files = counted(len(self), "pair"), counted(self.files, "file")
        return f"<Copies: {pairs} in {counted(groups, 'group')}, {files}{unread}>"

    def _repr_html_(self) -> str:
        lines = "".join(map(self._line, self.rows[:_LISTED]))
        more = f"<p>and {len(self) - _LISTED} more</p>" if len(self) > _LISTED else ""
        return f"<p>{html.escape(repr(self)[1:-1])}</p><table>{lines}</table>{more}"

    def _line(self, row: Row) -> str:
        cells = (
            f"<td>{picture_html(self._pictures.get(path, b''))}<br>{html.escape(path)}</td>"
            for path in (row.original, row.copy)
        )
        facts = [f"{row.probability:.2f}", row.direction, row.edits]
        words = "<br>".join(html.escape(word) for word in facts if word)
        return f"<tr>{''.join(cells)}<td>{words}</td></tr>"


def find_copies(
    photos: str | Path | Sequence[str | Path],
    *,
    against: str | Path | Sequence[str | Path] | None = None,
    cache: str | Path | None = None,
    model: str = MODEL,
    precision: float = PRECISION,
    local_candidates: int = LOCAL_CANDIDATES,
    regions: Regions = "none",
    compare: Compare = "auto",
    workers: int = 1,
    device: str = "auto",
    bar: Bar | None = None,
) -> Copies:
    """Find copies in a folder of images.

    Args:
        photos: folder, image, or list of paths (``.txt``, ``.csv``); or several of them.
        against: where to search for originals and copies instead of ``photos``.
        cache: file that is remembered between scans, so that the next one reads only what is new;
            None remembers nothing.
        model: ``asl_lite0``, ``asl_lite1`` or a trained model.
        precision: share of the reported pairs that should be right.
        local_candidates: candidates per image by local features; 0 is quicker and misses small
            crops and overlays.
        regions: regions embedded as well: ``none``, ``coarse``, ``fine``.
        compare: ``all`` candidate pairs, the ``promising`` ones (of packaged models), or ``auto``:
            all of up to 1,000 images, promising ones of more.
        workers: processes that compare. More than one in a script needs the usual
            ``if __name__ == "__main__":`` around the call.
        device: ``auto``, ``cpu``, ``cuda``.
        bar: (label, unit) -> context manager that gives a function of (done, total).

    Raises:
        UsageError: a folder does not exist or is no path, or an option is out of range.
        AslError: no image can be read, or the cache is another file.
    """
    from asl.console.progress import no_bar

    with tempfile.TemporaryDirectory(prefix="asl-") as temporary:
        options = ScanConfig(
            photos=_paths(photos),
            against=[] if against is None else _paths(against),
            output=Path(temporary),
            cache=None if cache is None else Path(cache).expanduser(),
            precision=precision,
            local_candidates=local_candidates,
            regions=regions,
            compare=compare,
            model=model,
            workers=workers,
            device=device,
        )
        result = scan(options, bar=bar or no_bar)
        rows = tuple(rows_of(result))
        return Copies(
            rows,
            {
                result.typed_path(name): reason
                for name, reason in (result.synced.failures | result.unreadable_folders).items()
            },
            result.files,
            result.precision,
            result.threshold,
            result.hopeless,
            _pictures(result, rows[:_LISTED]),
        )


def _paths(given: str | Path | Sequence[str | Path]) -> list[Path]:
    listed = [given] if isinstance(given, str | Path) else given
    try:
        return [Path(path).expanduser() for path in listed]
    except TypeError as error:
        raise UsageError(
            f"find_copies: expected a folder, or several, got {type(given).__name__}"
        ) from error


def _pictures(result: ScanResult, rows: tuple[Row, ...]) -> dict[str, bytes]:
    """Return the JPEG thumbnails of some rows by path."""
    wanted = {path for row in rows for path in (row.original, row.copy)}
    with closing(result.thumbnails()) as thumbnails:
        return {
            result.typed_path(path): thumbnails(image.digest)
            for image in result.images
            for path in image.paths
            if result.typed_path(path) in wanted
        }
