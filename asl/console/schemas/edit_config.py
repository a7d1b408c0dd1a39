"""Make edited copies with ground truth: a query set, edits.csv, a contact sheet.

Examples:
  asl edit images=photo.jpg output=out                     four views by the recipe disc_like
  asl edit images=photo.jpg output=out edits=every         each edit once
  asl edit images=PHOTOS output=out edits=kinds            a query of every held-out kind per image
  asl edit images=PHOTOS output=out edits=kinds views=1    the kinds in turn, one query per image
  asl edit images=PHOTOS output=out edits=lyakaap_v98 views=8 size=256
  asl edit images=PHOTOS output=out edits=mine.yaml pool=BACKGROUNDS

OUTPUT gets queries/Q000000.jpg ..., truth.csv (query_id, reference_id, kind; the reference is the
id of the image that the query was made from; both ids are those of a search of the same folders
with this id_style), edits.csv (what was done to each query, and how much
of the original remains), sheet.jpg and, where images could not be read, failures.csv. The same seed
gives the same files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from asl.console.schema_groups import CheckedChoices
from asl.console.schemas.shared_keys import IdStyle


@dataclass(kw_only=True)
class EditInputs:
    """Images.

    Attributes:
        images: image, folder, list or archive of the originals.
        output: folder of the query set; must not hold queries yet.
        pool: folder of images for overlays; null: the other images of images=.
        id_style: ids are paths, or file names without suffix (stem).
    """

    images: str
    output: str
    pool: str | None = None
    id_style: IdStyle = "path"


@dataclass(kw_only=True)
class EditViews:
    """Edits.

    Attributes:
        edits: name or path of a recipe, kinds (the held-out kinds of benchmarks), or every (each
            edit once).
        views: queries per image; of kinds and every this many in turn. null: 4 by a recipe, else
            all.
        size: side in pixels of the square that a query is resized to; null: as the edits leave it.
        quality: JPEG quality of the files; 0: PNG, lossless.
        seed: seed of every edit.
        trusted: further packages whose edits a recipe may name.
    """

    edits: str = "disc_like"
    views: int | None = None
    size: int | None = None
    quality: int = 92
    seed: int = 0
    trusted: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class EditConfig(EditInputs, EditViews, CheckedChoices):
    """Keys of ``asl edit``."""
