"""Make the queries that the verifier is fitted on: edited copies, reverse crops, later frames.

Everything depends only on the photograph, the number of the query and the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asl.data.catalog import Catalog
from asl.data.images import decode_image
from asl.edits import Edit, View
from asl.edits.catalogue import every_edit
from asl.edits.composite import Collage, ImageOnTop, Meme, OverlayOnto, Screenshot
from asl.edits.detail import GaussianBlur, MotionBlur, Noise, Pixelise, Recompress
from asl.edits.drawing import Annotate, Censor, Erase, Sticker, Stripes, Text, Watermark
from asl.edits.engine.edit_base import Maybe, OneOf, SomeOf
from asl.edits.engine.edit_base import Sequence as Chain
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import view_rng
from asl.edits.filters import Darken, Fade, Halftone
from asl.edits.geometric import (
    Affine,
    ChangeAspect,
    Crop,
    Pad,
    Perspective,
    Resize,
    Translate,
)
from asl.edits.hard_negatives import reverse_crop
from asl.edits.local_warps import Elastic, OpticalDistortion, Swirl
from asl.edits.photometric import ColourJitter, Contrast, Grayscale, Levels
from asl.edits.recipes import load_recipe

RECIPES = {
    "disc_like": 0.3,
    "single": 0.2,  # one edit of the whole catalogue
    "several": 0.15,  # two to four of them, one after the other
    "moderate": 0.1,
    "sscd_advanced": 0.1,
    "lyakaap_v86": 0.1,
    "light": 0.1,
    "bent": 0.1,  # waves, lenses and swirls; not the grids of the benchmark
    # moved or shrunk in the frame, the empty rest filled with reflections or streaks
    "refilled": 0.1,
    "strong": 0.6,  # chains of two to five edits, one of each family
    "scanned": 0.2,  # another scan of the same print or slide, small
    # dots of a print, and the dark: features agree in the blurred reading, pixels hardly do
    "printed": 0.15,
    "night": 0.15,
}
DRAWN_RECIPES = {"drawn": 0.6, "single": 0.15, "disc_like": 0.15, "light": 0.1}
REVERSE, FRAMES = 0.2, 0.25  # shares of the queries; the others are copies
STILL = 0.35  # share of the frames whose camera stands still
# share of copies and frames whose photographs, the look-alikes too, stand in mounts of one kind
MOUNTED = 0.25
PLAIN = 0.5  # share of those that nothing else is done to
ASIDE = (
    8  # every so many-th photograph is no query and no reference, but what is pasted on the others
)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """Describe one query: ``copy``, ``reverse`` or ``frame``, optionally in a frame template."""

    source: int
    number: int
    kind: str
    recipe: str = ""
    mounted: bool = False

    @property
    def name(self) -> str:
        """Unique."""
        return f"{self.source:06d}-{self.number}"


def recipes() -> dict[str, Edit]:
    """The edits of copies, by the names in :data:`RECIPES`."""
    single = list(every_edit().values())
    own: dict[str, Edit] = {
        "single": OneOf(single),
        "several": SomeOf(single, 2, 4),
        "bent": OneOf([Elastic(), OpticalDistortion(), Swirl()]),
        "refilled": OneOf(
            [edit for border in ("reflect", "replicate") for edit in _refilling(border)]
        ),
        "strong": _strong(),
        "scanned": _scanned(),
        "printed": _printed(),
        "night": _night(),
        "drawn": _on_drawn(),
    }
    return own | {name: load_recipe(name) for name in RECIPES if name not in own}


def _refilling(border: str) -> list[Edit]:
    """Sample edits that leave a part of the frame empty, with small rotations only."""
    return [
        Translate(share=(-0.3, 0.3), border=border),
        Affine(
            degrees=(-8, 8), shear=(-8, 8), scale=(0.55, 0.95), shift=(-0.15, 0.15), border=border
        ),
    ]


def _strong() -> Edit:
    """Chain strong edits of other ranges, families and orders than the benchmark's hard kinds."""
    families: list[Edit] = [
        OneOf(
            [
                Crop(area=(0.08, 0.7), aspect=(0.7, 1.45)),
                Perspective(strength=(0.05, 0.24)),
                Affine(degrees=(-25, 25), shear=(-15, 15), scale=(0.6, 1.2)),
                ChangeAspect(ratio=(1.1, 1.8)),
                Swirl(degrees=(-40, 40)),
            ]
        ),
        OneOf(
            [
                ColourJitter(brightness=0.5, contrast=0.6, saturation=0.8, hue=0.3),
                Contrast(factor=(0.3, 3.0)),
                Levels("solarise"),
                Levels("invert"),
                Fade(share=(0.3, 0.7)),
                Darken(factor=(0.2, 0.7)),
            ]
        ),
        OneOf(
            [
                MotionBlur(length=(3, 8)),
                GaussianBlur(sigma=(0.6, 2.0)),
                Resize(scale=(0.25, 0.7)),
                Pixelise(squares=(40, 100)),
                Noise(sigma=(8, 30)),
                Recompress(quality=(5, 30), times=(1, 2), webp=0.2),
            ]
        ),
        Maybe(OneOf([ImageOnTop(), Text(height=(0.05, 0.15)), Stripes(), Erase()]), 0.4),
        Maybe(OneOf([OverlayOnto(area=(0.25, 0.7)), Collage(), Meme(), Pad()]), 0.35),
    ]
    return Chain([SomeOf(families[:3], 2, 3), *families[3:]])


def _scanned() -> Edit:
    """Sample what differs between two scans of a print: size, tone, sharpness, frame, shift."""
    return Chain(
        [
            Affine(degrees=(-2, 2), shear=(-1, 1), scale=(0.98, 1.12), shift=(-0.03, 0.03)),
            ColourJitter(brightness=0.2, contrast=0.3, saturation=0.3, hue=0.03),
            Maybe(GaussianBlur(sigma=(0.4, 1.4)), 0.6),
            Maybe(Noise(sigma=(3, 10)), 0.4),
            Resize(scale=(0.25, 0.6)),
            Maybe(Pad(share=(0.02, 0.08)), 0.5),
            Recompress(quality=(50, 92), times=(1, 1)),
        ]
    )


def _printed() -> Edit:
    """Print with coarser or finer dots than the benchmark's, then photograph the print or not."""
    dots = OneOf([Halftone(dots=(45, 85)), Halftone(dots=(165, 260))])
    shape: list[Edit] = [
        Crop(area=(0.3, 0.9), aspect=(0.75, 1.35)),
        Affine(degrees=(-12, 12), shear=(-8, 8), scale=(0.8, 1.15)),
        Perspective(strength=(0.15, 0.22)),
    ]
    tone: list[Edit] = [
        ColourJitter(brightness=0.3, contrast=0.4, saturation=0.6, hue=0.1),
        Fade(share=(0.3, 0.6)),
    ]
    return Chain(
        [
            Maybe(OneOf(shape), 0.6),
            dots,
            Maybe(OneOf(tone), 0.5),
            Maybe(Resize(scale=(0.35, 0.8)), 0.4),
            Recompress(quality=(45, 90), times=(1, 1)),
        ]
    )


def _night() -> Edit:
    """Darken less than the benchmark with more noise, or more with less; crop or turn a little."""
    dark = OneOf(
        [
            Chain([Darken(factor=(0.22, 0.4)), Noise(sigma=(14, 26))]),
            Chain([Darken(factor=(0.05, 0.08)), Noise(sigma=(1, 5))]),
        ]
    )
    shape: list[Edit] = [
        Crop(area=(0.3, 0.9), aspect=(0.75, 1.35)),
        Affine(degrees=(-12, 12), shear=(-8, 8), scale=(0.8, 1.15)),
    ]
    return Chain([Maybe(OneOf(shape), 0.7), dark, Recompress(quality=(50, 92), times=(1, 1))])


def _on_drawn() -> Edit:
    """Sample what people do to pages, slides and screens, in other ranges than the benchmark."""
    marks = [Censor(), Annotate(), Text(height=(0.03, 0.08)), Watermark(), Erase(area=(0.01, 0.05))]
    kept: list[Edit] = [
        Recompress(quality=(12, 60), times=(1, 1)),
        Resize(scale=(0.25, 0.9)),
        Crop(area=(0.2, 0.95), aspect=(0.5, 2.0)),
        Pad(share=(0.03, 0.6)),
        Affine(degrees=(-6, 6), shear=(-3, 3), scale=(0.8, 1.1)),
    ]
    tones = [Grayscale(), ColourJitter(hue=0.4), Fade(share=(0.4, 0.8)), Levels("invert")]
    one: list[Edit] = [OneOf(kept), OneOf(marks), OneOf(tones), Screenshot((0.3, 0.9))]
    return Chain([SomeOf(one, 1, 2), Recompress(quality=(35, 95), times=(1, 1))])


def plan(
    sources: Sequence[int], *, queries: int, seed: int, first_drawn: int | None = None
) -> Iterator[Task]:
    """So many queries a photograph, or drawn picture: rows from ``first_drawn`` on."""
    rng = np.random.default_rng(seed)
    for place, number in np.ndindex(len(sources), queries):
        drawn = first_drawn is not None and sources[place] >= first_drawn
        recipes_, frames = (DRAWN_RECIPES, 0.0) if drawn else (RECIPES, FRAMES)
        names, shares = list(recipes_), np.array(list(recipes_.values()))
        kind = str(
            rng.choice(["copy", "reverse", "frame"], p=[1 - REVERSE - frames, REVERSE, frames])
        )
        recipe = str(rng.choice(names, p=shares / shares.sum()))
        if drawn:
            yield Task(sources[place], number, kind, recipe if kind == "copy" else "")
            continue
        if kind != "copy":
            recipe = str(rng.choice(["", "light", "moderate"], p=[0.5, 0.3, 0.2]))
        mounted = bool(rng.random() < MOUNTED) and kind != "reverse"
        recipe = "" if mounted and rng.random() < PLAIN else recipe
        yield Task(sources[place], number, kind, recipe, mounted)


def sources_of(count: int) -> list[int]:
    """The photographs that are asked about; those left out are only pasted on others."""
    return [row for row in range(count) if row % ASIDE != ASIDE - 1]


@dataclass(frozen=True, eq=False)
class Maker:
    """Makes queries: the same for a photograph, a number and a seed, in any process."""

    catalogs: tuple[Catalog, ...]
    recipes: dict[str, Edit]
    seed: int
    drawn: Catalog | None = None  # the last of the catalogs, where it holds no photographs

    @property
    def first_drawn(self) -> int:
        """Row of the first drawn picture; the number of rows where there is none."""
        count = sum(len(catalog) for catalog in self.catalogs)
        return count if self.drawn is None else count - len(self.drawn)

    def template(self, row: int) -> str:
        """Template of a drawn picture: its name without the last number; empty for photographs."""
        if self.drawn is None or row < self.first_drawn:
            return ""
        return Path(str(self.drawn.ids[row - self.first_drawn])).stem.rpartition("-")[0]

    def photo(self, row: int) -> Pixels:
        """A photograph."""
        for catalog in self.catalogs:
            if row < len(catalog):
                return decode_image(catalog.read(row))
            row -= len(catalog)
        raise IndexError(row)

    def reference(self, task: Task, row: int | None = None) -> Pixels:
        """Make the reference of a task: its own photograph or another, in the same template."""
        photo = self.photo(task.source if row is None else row)
        if task.mounted:
            return self._mounted(photo, task)
        return self._crop(photo, task).image if task.kind == "reverse" and row is None else photo

    def query(self, task: Task) -> tuple[bytes, float]:
        """The query of a task as a JPEG, and the share of it that comes from its photograph."""
        rng = view_rng(key=f"verifier/{task.source}", seed=self.seed, number=task.number)
        query, cover = self.photo(task.source), 1.0
        if task.kind == "frame":
            query = next_frame(query, rng)
        if task.mounted:  # the mount does not move with the scene
            query = self._mounted(query, task)
        if task.recipe:
            view = self.recipes[task.recipe](View.original(query, foreign=Pool(_Aside(self))), rng)
            query, cover = view.image, view.cover
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
        data: Any = cv2.imencode(".jpg", np.ascontiguousarray(query[:, :, ::-1]), quality)[1]
        return data.tobytes(), cover

    def _mounted(self, photo: Pixels, task: Task) -> Pixels:
        rng = view_rng(key=f"mount/{task.source}", seed=self.seed, number=task.number)
        return mount(photo, rng, foreign=Pool(_Aside(self)))

    def _crop(self, photo: Pixels, task: Task) -> View:
        return reverse_crop(photo, key=f"{task.source}/{task.number}", seed=self.seed)[1]


class _Aside:
    """The photographs that are pasted on others."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        count = sum(len(catalog) for catalog in maker.catalogs)
        self._rows = range(ASIDE - 1, count, ASIDE) if count >= ASIDE else range(count)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> Pixels:
        return self._maker.photo(self._rows[place])


MOUNTS: dict[str, Edit | None] = {
    "border": None,
    "letterbox": None,
    "caption": None,
    "bar": Meme(bar=(0.08, 0.35)),
    "text": Chain(
        [Text(height=(0.06, 0.15), lines=(1, 2)), Text(height=(0.06, 0.15), lines=(1, 2))]
    ),
    "sticker": Sticker(side=(0.2, 0.5), count=(1, 2)),
    "screenshot": Screenshot(share=(0.35, 0.8)),
}


def mount(
    image: Pixels, rng: np.random.Generator, *, foreign: Pool, kind: str | None = None
) -> Pixels:
    """Put the photograph into a frame template: border, letterbox, caption or app.

    The same state of ``rng`` makes the same mount around any photograph.
    """
    kind = kind or str(rng.choice(list(MOUNTS)))
    template = MOUNTS[kind]
    if template is None:
        return _bordered(image, rng, kind)
    return template(View.original(image, foreign=foreign), rng).image


def _bordered(image: Pixels, rng: np.random.Generator, kind: str) -> Pixels:
    height, width = image.shape[:2]
    side = min(height, width)
    share, corner, level = rng.uniform(0.02, 0.08), rng.uniform(0.0, 0.1), rng.random()
    colour = (
        np.full(3, 0)
        if level < 0.6
        else np.full(3, 255)
        if level < 0.8
        else rng.integers(0, 256, 3)
    )
    shown = np.zeros((height, width), np.uint8)
    low, radius = max(1, round(share * side)), round(corner * side)
    if kind == "border":
        cv2.rectangle(
            shown,
            (low + radius, low + radius),
            (width - 1 - low - radius, height - 1 - low - radius),
            1,
            -1,
        )
        shown = cv2.dilate(
            shown, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        )
    elif kind == "letterbox":
        shown[2 * low : height - 2 * low] = 1
    else:
        shown[: height - 3 * low] = 1
    edge = cv2.GaussianBlur(shown.astype(np.float32), (0, 0), 0.7)[..., None]
    mounted = np.clip(image * edge + colour * (1 - edge), 0, 255).astype(np.uint8)
    if kind == "caption":
        text = "".join(rng.choice(list("abcdefghijklmno prstuvw"), 24))
        ink = [int(value) for value in 255 * (colour < 128)]
        cv2.putText(
            mounted,
            text,
            (low, height - low),
            cv2.FONT_HERSHEY_SIMPLEX,
            2 * low / 30,
            ink,
            1,
            cv2.LINE_AA,
        )
    return mounted


Range = tuple[float, float]


@dataclass(frozen=True)
class Motion:
    """What changes from one frame to the next; lengths are shares of the shorter side.

    Attributes:
        camera: longest shift of the background; drawn for each frame.
        bend: of the background, which is what parallax does to it.
        subject: longest shift of a subject, where the camera moves and where it stands still.
        subject_bend: of a subject.
        least: shortest shift of a subject.
        smaller: share of the subjects that are reduced.
        gain: of the brightness.
        noise: standard deviation, in grey levels.
    """

    camera: Range
    bend: Range
    subject: tuple[Range, Range]
    subject_bend: Range
    least: float
    smaller: float
    gain: Range
    noise: Range


# Nothing of a rough frame agrees exactly with the one before. Of frames of videos, a sixth of a
# second apart, the background does.
ROUGH = Motion(
    camera=(0.05, 0.05),
    bend=(0.006, 0.006),
    subject=((0.11, 0.11), (0.25, 0.25)),
    subject_bend=(0.02, 0.02),
    least=0.025,
    smaller=0.0,
    gain=(0.92, 1.08),
    noise=(0.7, 4.0),
)
CALM = Motion(
    camera=(0.0, 0.2),
    bend=(0.0, 0.003),
    subject=((0.03, 0.25), (0.03, 0.25)),
    subject_bend=(0.0, 0.02),
    least=0.02,
    smaller=0.5,
    gain=(0.96, 1.04),
    noise=(0.2, 2.0),
)


def next_frame(image: Pixels, rng: np.random.Generator, motion: Motion = ROUGH) -> Pixels:
    """Make the same scene a moment later: the camera and one to three subjects move.

    A subject is a smooth blob; what it uncovers is painted in. No global map takes the two images
    into each other.
    """
    still = rng.random() < STILL
    height, width = image.shape[:2]
    side = float(min(height, width))
    background, layers = image.copy(), []
    for _ in range(int(rng.integers(1, 4))):
        mask = blob(rng, height, width)
        if motion.smaller and rng.random() < motion.smaller:
            mask = reduced(mask, rng)
        hole = cv2.dilate((mask > 0.2).astype(np.uint8), np.ones((3, 3), np.uint8))
        small = (max(8, width // 2), max(8, height // 2))
        painted = cv2.inpaint(
            cv2.resize(background, small),
            cv2.resize(hole, small, interpolation=0),
            3,
            cv2.INPAINT_TELEA,
        )
        background = np.where(hole[..., None] > 0, cv2.resize(painted, (width, height)), background)
        layers.append(mask)
    moved = (
        background.astype(np.float32)
        if still
        else warped(
            background, rng, side, shift=drawn(rng, motion.camera), bend=drawn(rng, motion.bend)
        )
    )
    for mask in layers:
        layer = warped(
            np.dstack([image.astype(np.float32), 255 * mask]),
            rng,
            side,
            shift=drawn(rng, motion.subject[still]),
            bend=drawn(rng, motion.subject_bend),
            least=motion.least,
        )
        alpha = layer[..., 3:] / 255
        moved = (moved * (1 - alpha) + layer[..., :3] * alpha).astype(np.float32)
    gain = rng.uniform(*motion.gain)
    noise = rng.normal(0, rng.uniform(*motion.noise), moved.shape)
    return np.clip(moved * gain + noise, 0, 255).astype(np.uint8)


def drawn(rng: np.random.Generator, span: Range) -> float:
    """Draw from a range; one of no width needs no draw."""
    return span[0] if span[0] == span[1] else float(rng.uniform(*span))


def reduced(mask: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Shrink a mask towards some point near the middle."""
    height, width = mask.shape
    centre = (width * rng.uniform(0.2, 0.8), height * rng.uniform(0.2, 0.8))
    matrix = cv2.getRotationMatrix2D(centre, 0, rng.uniform(0.35, 0.9))
    return np.asarray(cv2.warpAffine(mask, matrix, (width, height)), np.float32)


def blob(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float32]:
    """A smooth 0..1 mask of 8 to 45 % of the picture, somewhere near the middle."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    centre = rng.uniform(0.25, 0.75, 2) * (width, height)
    radii = rng.uniform(0.15, 0.42, 2) * (width, height)
    angle = np.arctan2(y - centre[1], x - centre[0])
    wave = sum(
        rng.uniform(-0.15, 0.15) * np.cos(n * angle + rng.uniform(0, 6.3)) for n in (2, 3, 5)
    )
    distance = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    edge = 1.0 / (1.0 + np.exp(np.clip((distance - 1 - wave) * 25, -30, 30)))
    return np.asarray(edge, dtype=np.float32)


def warped(
    image: npt.NDArray[Any],
    rng: np.random.Generator,
    side: float,
    *,
    shift: float,
    bend: float,
    least: float = 0.0,
) -> npt.NDArray[np.float32]:
    """Shift by up to ``shift`` of the side, rotate, scale, bend by ``bend`` of the side."""
    height, width = image.shape[:2]
    direction, length = rng.uniform(0, 2 * np.pi), rng.uniform(least, shift) * side
    matrix = cv2.getRotationMatrix2D(
        (width / 2, height / 2), rng.normal(0, 2.5), float(np.exp(rng.normal(0, 0.04)))
    )
    matrix[:, 2] += length * np.array([np.cos(direction), np.sin(direction)])
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    coarse = rng.normal(
        0, bend * side, (2, int(rng.integers(3, 6)), int(rng.integers(3, 6)))
    ).astype(np.float32)
    flow = [cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC) for part in coarse]
    map_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + flow[0]
    map_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + flow[1]
    border = cv2.BORDER_CONSTANT if image.shape[2] == 4 else cv2.BORDER_REFLECT
    drawn = cv2.remap(
        image,
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=border,
    )
    return np.asarray(drawn, dtype=np.float32)
