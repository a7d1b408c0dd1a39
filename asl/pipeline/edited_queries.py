"""Make a query set of edited copies: images, ground truth, edits.csv, a contact sheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw

from asl.console.key_names import keys_named
from asl.console.plain_console import PlainConsole
from asl.console.progress import progress_bar
from asl.console.schemas.edit_config import EditConfig
from asl.counts import counted
from asl.data.catalog import Catalog, open_catalog
from asl.data.csv_rows import cell_of
from asl.data.image_error import reason_of
from asl.data.images import ImageError, Pixels, decode_image, encode_image
from asl.data.truth import write_truth
from asl.edits.benchmark_kinds import benchmark_kinds
from asl.edits.catalogue import every_edit
from asl.edits.engine.edit_base import Edit
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import view_rng
from asl.edits.engine.view import View
from asl.edits.recipes import load_recipe
from asl.storage import absent, atomic_path, atomic_text, recorded, write_bytes
from asl.types import AslError, TruthPairs, UsageError

_COLUMNS = (
    "query_id",
    "source",
    "kind",
    "width",
    "height",
    "content",
    "cover",
    "fidelity",
    "amount",
    "edits",
)
_THUMBNAIL_SIDE = 160  # pixels
_MAX_THUMBNAILS = 240  # on a contact sheet


@dataclass
class _Made:
    """One query, before it is written."""

    query: str
    source: str
    kind: str
    view: View


def make_edited_queries(config: EditConfig) -> int:
    """Edit every image, write the query set, report; returns the exit code."""
    output = Path(config.output)
    console = PlainConsole()
    if (output / "queries").exists():
        raise UsageError(
            f"output: {output} holds queries already; delete it or choose another folder"
        )
    _check(config)
    catalog = open_catalog(config.images, id_style=config.id_style)
    failures: list[tuple[str, str]] = []
    rows: list[Any] = []
    pairs: list[tuple[str, str]] = []
    kinds: dict[str, str] = {}
    thumbs: list[Image.Image] = []
    with progress_bar("editing", unit="views") as progress:
        for done, (made, total) in enumerate(_make(config, catalog, failures), start=1):
            _write_image(output / "queries", made, config.quality)
            rows.append(_row(made))
            pairs.append((made.query, made.source))
            kinds[made.query] = made.kind
            if len(thumbs) < _MAX_THUMBNAILS:
                thumbs.append(_thumbnail(made))
            progress(done, total)
    if not rows:
        raise AslError(
            f"images: none of {len(catalog)} could be read, e.g. {failures[0][0]}: {failures[0][1]}"
        )
    _write_table(output / "edits.csv", _COLUMNS, rows)
    write_truth(TruthPairs.from_pairs(pairs, kinds=kinds), output / "truth.csv")
    with atomic_path(output / "sheet.jpg") as path:
        _sheet(thumbs).save(path, format="JPEG", quality=90)
    if failures:
        listed = [(cell_of(name), reason) for name, reason in failures]
        _write_table(output / "failures.csv", ("source", "reason"), listed)
        console.warn(
            f"{counted(len(failures), 'image')} could not be read; see {output / 'failures.csv'}"
        )
    images = counted(len(catalog) - len(failures), "image")
    console.say(f"{counted(len(rows), 'view')} of {images}: {output}")
    return 0


def _check(config: EditConfig) -> None:
    if not Path(config.images).exists():
        raise UsageError(f"images: {absent(config.images)}; check the path")
    if config.views is not None and config.views < 1:
        raise UsageError(f"views: must be 1 or more, got {config.views}")
    if config.size is not None and not 16 <= config.size <= 8192:
        raise UsageError(f"size: must be 16 to 8,192 pixels, got {config.size}")
    if not 0 <= config.quality <= 100:
        raise UsageError(f"quality: must be in 1..100, or 0 for PNG, got {config.quality}")
    sources, output = Path(config.images).resolve(), Path(config.output).resolve()
    if sources.is_dir() and output.is_relative_to(sources):
        raise UsageError(
            f"output: {config.output} is inside images={config.images}, whose next reader would "
            "take the queries for originals; choose a folder beside it"
        )


def _edits(config: EditConfig) -> list[tuple[str, Edit]]:
    """Return kind and edit of each view that an image may get."""
    sets = {"kinds": benchmark_kinds, "every": every_edit}
    if config.edits in sets:
        return list(sets[config.edits]().items())
    try:
        with keys_named({"name": "edits"}):
            recipe = load_recipe(config.edits)
    except UsageError as error:
        if config.edits.endswith((".yaml", ".yml")):
            raise
        raise UsageError(f"{error}; and the sets {', '.join(sorted(sets))}") from error
    return [(Path(config.edits).stem, recipe)] * (config.views or 4)


def _make(
    config: EditConfig, catalog: Catalog, failures: list[tuple[str, str]]
) -> Iterator[tuple[_Made, int]]:
    edits = _edits(config)
    count = min(config.views or len(edits), len(edits))
    pool = _pool(config, catalog)
    # The id that a search of the queries gives them, with this id_style.
    ending = _ending(config.quality) if config.id_style == "path" else ""
    query = 0
    for row, source in enumerate(catalog.ids.tolist()):
        try:
            image = decode_image(catalog.read(row))
            original = View.original(image, foreign=pool, target=config.size)
        except (AslError, OSError) as error:
            failures.append((source, reason_of(error)))
            continue
        for number in range(count):
            kind, edit = edits[(row * count + number) % len(edits)]
            view = edit(original, view_rng(key=source, seed=config.seed, number=number))
            if config.size is not None:
                view = view.resized(config.size, config.size)
            yield _Made(f"Q{query:06d}{ending}", source, kind, view), count * len(catalog)
            query += 1


def _pool(config: EditConfig, catalog: Catalog) -> Pool | None:
    if config.pool is None:
        return Pool(catalog, decode=decode_image) if len(catalog) > 1 else None
    if not Path(config.pool).exists():
        raise UsageError(f"pool: {absent(config.pool)}; check the path")
    return Pool(open_catalog(config.pool), decode=decode_image)


def _write_image(folder: Path, made: _Made, quality: int) -> None:
    try:
        data = encode_image(made.view.image, quality)
    except ImageError as error:
        raise ImageError(f"{made.query}: {error.reason}") from error
    write_bytes((folder / made.query).with_suffix(_ending(quality)), data)


def _ending(quality: int) -> str:
    return ".jpg" if quality else ".png"


def _row(made: _Made) -> tuple[Any, ...]:
    view = made.view
    shares = (f"{value:.4f}" for value in (view.content, view.cover, view.fidelity, view.amount))
    size = (view.size[1], view.size[0])
    return (
        made.query,
        cell_of(made.source),
        made.kind,
        *size,
        *shares,
        json.dumps(list(view.log), ensure_ascii=False),
    )


def _write_table(path: Path, columns: tuple[str, ...], rows: list[Any]) -> None:
    with recorded(path), atomic_text(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _thumbnail(made: _Made) -> Image.Image:
    """Draw the view under two lines: its kind, and its content, cover and fidelity."""
    cell = Image.new("RGB", (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE + 24), "white")
    pixels: Pixels = made.view.image
    factor = _THUMBNAIL_SIDE / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    cell.paste(Image.fromarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)), (0, 24))
    pen, view = ImageDraw.Draw(cell), made.view
    pen.text((1, 0), f"{made.kind}"[:26], fill="black", font_size=11)
    shares = f"{view.content:.2f} {view.cover:.2f} {view.fidelity:.2f}"
    pen.text((1, 11), shares, fill=(110, 110, 110), font_size=11)
    return cell


def _sheet(thumbs: list[Image.Image]) -> Image.Image:
    columns = int(np.clip(np.ceil(np.sqrt(1.4 * len(thumbs))), 1, 12))
    rows = -(-len(thumbs) // columns)
    width, height = thumbs[0].size
    sheet = Image.new("RGB", (columns * (width + 6), rows * (height + 6)), "white")
    for place, thumb in enumerate(thumbs):
        sheet.paste(thumb, (place % columns * (width + 6), place // columns * (height + 6)))
    return sheet
