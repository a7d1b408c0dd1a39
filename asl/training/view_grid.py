"""Picture of the views that a training sees, with what is tracked as content marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from asl.data.datamodule import CopyDataModule
from asl.data.training_set import Content, Draw, content_of
from asl.edits import View
from asl.storage import write_bytes
from asl.types import AslError

_TILE = 144  # pixels of the side of a view in the picture
_CAPTION = 18  # pixels below it
_GAP = 4
_FOREIGN = np.array([220, 40, 40], np.float32)  # red
_EDGE = (40, 200, 80)  # green
_QUALITY = 85

Picture = npt.NDArray[np.uint8]


def write_view_grid(data: CopyDataModule, path: Path, *, sources: int) -> None:
    """Write views of the first batch of the first epoch as a JPEG, one source image a row.

    Pixels that are not the original's are tinted red, the edge of the others is green; the caption
    is the content of the view, which orders the norms. Half of the rows are the batch's last
    images, among them its hard pairs.

    Args:
        data: the training images and how views are made of them.
        path: ``.jpg``, written atomically.
        sources: number of rows.

    Raises:
        AslError: the images cannot be read, or the file cannot be written.
    """
    draws = chosen_draws(data.first_draws(), sources)
    kind = data.training.plan.content
    rows = [view_row(data.training.views(draw), kind) for draw in draws]
    ok, encoded = cv2.imencode(
        ".jpg", np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not ok:
        raise AslError(
            f"{path}: the picture of the views cannot be encoded; set trainer.view_grid=0"
        )
    write_bytes(path, encoded.tobytes())


def chosen_draws(draws: Sequence[Draw], count: int) -> list[Draw]:
    """Return at most ``count`` draws from both ends of a batch."""
    if len(draws) <= count:
        return list(draws)
    first = count - count // 2
    return [*draws[:first], *draws[len(draws) - count // 2 :]]


def view_row(views: Sequence[View], kind: Content) -> Picture:
    """Draw the views of one source side by side.

    Args:
        views: of one source.
        kind: measure of the content.

    Returns:
        uint8 ``[h, w, 3]`` RGB.
    """
    height, width = _TILE + _CAPTION + _GAP, _TILE + _GAP
    row = np.full((height, width * len(views), 3), 255, np.uint8)
    for number, view in enumerate(views):
        left = number * width
        row[:_TILE, left : left + _TILE] = marked(view)
        text = f"{content_of(view, kind):.2f}"
        place = (left + 2, _TILE + _CAPTION - 4)
        cv2.putText(row, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return row


def marked(view: View) -> Picture:
    """Tint the foreign pixels of a view red and outline the others.

    Returns:
        uint8 ``[144, 144, 3]`` RGB.
    """
    own = np.isfinite(view.map[..., 0]).astype(np.uint8)
    own = cv2.resize(own, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
    image = cv2.resize(view.image, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    tinted: Picture = np.where(own[..., None] > 0, image, 0.5 * image + 0.5 * _FOREIGN).astype(
        np.uint8
    )
    if not own.all():
        edges, _ = cv2.findContours(own, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tinted, edges, -1, _EDGE, 1)
    return tinted
