r"""Draw pictures that are no photographs: pages, slides, phone screens, charts, comics, icons.

  python scripts/draw_material.py OUT --templates 4 --number 10 --fonts serif --seed 1
  python scripts/make_benchmark.py OUT DRAWN --level drawn --copies 150 --distractors 100 \
      --reverse-crops 20

Every kind has templates (layout, fonts, colours), and every template several pictures of other
content: what they share is the template, not the content, so none is a copy of another. Templates
depend on the seed and the set of fonts. ``scripts/train_verifier.py --drawn`` fits on one set and
another seed, benchmarks use the other set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from asl.data.scenes import render_scene
from asl.edits.drawn.glyphs import font
from asl.storage import atomic_folder
from asl.types import AslError

FONTS = {
    "sans": ("", "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif"),
    "serif": ("STIXGeneral", "STIXGeneralBol", "cmr10", "cmss10", "cmtt10"),
}
SYLLABLES = [
    *("ba", "ce", "di", "fo", "gu", "la", "mer", "ni", "pol", "ra", "se", "tan", "vi", "wo", "ka"),
    *("rem", "sto", "ling", "ver", "tion", "der", "um", "al", "es"),
]
Rng = np.random.Generator
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]


def font_paths(fonts: str) -> list[str]:
    """Files of a set of fonts; the empty path is Pillow's own.

    Raises:
        AslError: Matplotlib, whose fonts these are, is not installed.
    """
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise AslError("fonts: Matplotlib is not installed, whose fonts are used; install it")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return [str(folder / f"{name}.ttf") if name else "" for name in FONTS[fonts]]


@dataclass(eq=False)
class Sheet:
    """One picture while it is drawn.

    Attributes:
        style: random numbers of the template, the same for all of its pictures.
        content: random numbers of the picture.
        fonts: font files.
        canvas: the picture; set by :meth:`start`.
    """

    style: Rng
    content: Rng
    fonts: Sequence[str]
    canvas: Image.Image = field(default_factory=lambda: Image.new("RGB", (8, 8)))

    def start(self, width: int, height: int, paper: Colour) -> None:
        """Begin with an empty sheet."""
        self.canvas = Image.new("RGB", (width, height), paper)
        self.pen = ImageDraw.Draw(self.canvas)

    def face(self, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
        """Choose the template's font."""
        return font(size, self.fonts[int(self.style.integers(len(self.fonts)))])

    def shade(self, low: int = 0, high: int = 256) -> Colour:
        """Choose a colour of the template."""
        red, green, blue = self.style.integers(low, high, 3).tolist()
        return red, green, blue

    def colour(self, low: int = 0, high: int = 256) -> Colour:
        """Choose a colour of the content."""
        red, green, blue = self.content.integers(low, high, 3).tolist()
        return red, green, blue

    def words(self, count: int) -> str:
        """Make up words."""
        lengths = self.content.integers(1, 4, count)
        return " ".join("".join(self.content.choice(SYLLABLES, length)) for length in lengths)

    def write(
        self, at: tuple[float, float], text: str, face: ImageFont.ImageFont, ink: Colour
    ) -> None:
        """Write one line."""
        self.pen.text(at, text, fill=ink, font=face)

    def lines(
        self,
        box: Box,
        face: ImageFont.ImageFont,
        ink: Colour,
        *,
        gap: float = 1.4,
        least: float = 0.2,
    ) -> int:
        """Fill a box (left, top, right, bottom) with ragged lines; return where they end."""
        left, top, right, bottom = box
        size = face.getbbox("Hxg")[3]
        row = float(top)
        while row + size < bottom:
            share = 1.0 if self.content.random() > least else self.content.uniform(0.2, 0.9)
            text = self.words(3)
            while face.getlength(text) < share * (right - left):
                text += " " + self.words(2)
            while text and face.getlength(text) > right - left:
                text = text[:-1]
            self.write((left, row), text, face, ink)
            row += gap * size
        return int(row)

    def scene(self, box: Box) -> None:
        """Draw a generated scene in place of a photograph."""
        left, top, right, bottom = box
        seed = int(self.content.integers(1 << 30))
        picture = Image.fromarray(render_scene(seed, height=96, width=128))
        self.canvas.paste(picture.resize((max(2, right - left), max(2, bottom - top))), (left, top))


def page(sheet: Sheet) -> None:
    """A page of text: letterhead or running title, headings, one or two columns, a table."""
    style, content = sheet.style, sheet.content
    level = int(style.integers(238, 256))
    sheet.start(620, 877, (level, level, int(level - style.integers(0, 12))))
    size, columns, margin = (
        int(style.integers(11, 18)),
        int(style.integers(1, 3)),
        int(style.integers(40, 80)),
    )
    body, ink = sheet.face(size), (int(style.integers(0, 70)),) * 3
    heading = sheet.face(int(size * style.uniform(1.2, 1.8)))
    top = margin
    if style.random() < 0.5:  # a letterhead
        accent = sheet.shade(20, 200)
        sheet.pen.rectangle((margin, 24, margin + 60, 24 + 34), fill=accent)
        sheet.pen.line((margin, 70, 620 - margin, 70), fill=accent, width=2)
        top = 90
    width = (620 - 2 * margin - 20 * (columns - 1)) // columns
    for column in range(columns):
        left, row = margin + column * (width + 20), top
        while row < 877 - margin - 3 * size:
            if content.random() < 0.5:
                sheet.write((left, row), sheet.words(2), heading, ink)
                row += int(2.2 * size)
            end = min(877 - margin, row + int(content.integers(4, 14)) * size)
            if content.random() < 0.15:
                table(sheet, (left, row, left + width, end), body, ink)
                row = end
            else:
                row = sheet.lines((left, row, left + width, end), body, ink)
            row += size
    sheet.write((300, 877 - margin // 2), str(int(content.integers(1, 300))), body, ink)


def table(sheet: Sheet, box: Box, face: ImageFont.ImageFont, ink: Colour) -> None:
    """Draw a table of numbers."""
    left, top, right, bottom = box
    rows, columns = max(2, (bottom - top) // 22), int(sheet.content.integers(2, 5))
    for row in range(rows):
        height = top + row * (bottom - top) // rows
        sheet.pen.line((left, height, right, height), fill=ink)
        for column in range(columns):
            text = f"{sheet.content.uniform(0, 999):.1f}"
            sheet.write((left + 4 + column * (right - left) / columns, height + 3), text, face, ink)


def slide(sheet: Sheet) -> None:
    """A slide: title band, logo, bullets; some with a chart or a picture."""
    style, content = sheet.style, sheet.content
    dark = style.random() < 0.4
    paper = sheet.shade(0, 70) if dark else sheet.shade(225, 256)
    ink: Colour = (240, 240, 240) if dark else (30, 30, 40)
    sheet.start(800, 450 if style.random() < 0.6 else 600, paper)
    width, height = sheet.canvas.size
    band = sheet.shade(30, 220)
    side = int(style.integers(4))
    bands = [
        (0, 0, width, 70),
        (0, height - 40, width, height),
        (0, 0, 60, height),
        (0, 78, width, 82),
    ]
    sheet.pen.rectangle(bands[side], fill=band)
    logo = sheet.shade(30, 230)
    corner = (width - 70, height - 38, width - 20, height - 8)
    (sheet.pen.ellipse if style.random() < 0.5 else sheet.pen.rectangle)(corner, fill=logo)
    title, body = sheet.face(int(style.integers(26, 40))), sheet.face(int(style.integers(17, 26)))
    sheet.write((80, 18), sheet.words(int(content.integers(2, 4))), title, ink)
    full = content.random() < 0.55
    row = 110
    for _ in range(int(content.integers(2, 7))):
        sheet.pen.ellipse((86, row + 8, 94, row + 16), fill=band)
        sheet.write((104, row), sheet.words(int(content.integers(2, 8 if full else 4))), body, ink)
        row += int(style.integers(38, 40))
    if not full:
        box = (width // 2, 120, width - 60, height - 60)
        (sheet.scene if content.random() < 0.5 else lambda box: bars(sheet, box, band, ink))(box)


def bars(sheet: Sheet, box: Box, fill: Colour, ink: Colour) -> None:
    """Draw a bar chart into a box."""
    left, top, right, bottom = box
    count = int(sheet.content.integers(3, 9))
    for number, value in enumerate(sheet.content.uniform(0.05, 1, count)):
        start = left + number * (right - left) / count
        sheet.pen.rectangle(
            (
                start + 4,
                bottom - value * (bottom - top),
                start + 0.8 * (right - left) / count,
                bottom,
            ),
            fill=fill,
        )
    sheet.pen.line((left, top, left, bottom, right, bottom), fill=ink, width=2)


def screen(sheet: Sheet) -> tuple[Colour, Colour, int]:
    """Begin a phone screen: status bar, title, bottom bar; return paper, ink and accent height."""
    style, content = sheet.style, sheet.content
    dark = style.random() < 0.4
    paper, ink = ((22, 24, 28), (225, 225, 228)) if dark else ((250, 250, 250), (35, 35, 40))
    sheet.start(360, 780, paper)
    accent, small, large = sheet.shade(30, 220), sheet.face(13), sheet.face(22)
    if style.random() < 0.6:
        sheet.pen.rectangle((0, 0, 360, 76), fill=accent)
    clock = f"{content.integers(24):02d}:{content.integers(60):02d}"
    sheet.write((14, 4), clock, small, ink)
    sheet.pen.rectangle((318, 8, 318 + int(content.integers(6, 28)), 18), fill=ink)
    sheet.pen.rectangle((318, 8, 346, 18), outline=ink)
    name = "".join(style.choice(SYLLABLES, 3)).capitalize()
    sheet.write((52, 34), name, large, ink)
    sheet.pen.line((18, 48, 30, 38, 30, 58, 18, 48), fill=ink, width=2)
    for number in range(5):
        x = 36 + 72 * number
        shape = [sheet.pen.ellipse, sheet.pen.rectangle][int(style.integers(2))]
        shape((x - 11, 742, x + 11, 764), outline=ink, width=2)
    sheet.pen.line((0, 728, 360, 728), fill=ink)
    return paper, ink, 84


def interface(sheet: Sheet) -> None:
    """A phone screen of one app: a list, a grid of pictures, or a feed."""
    _, ink, top = screen(sheet)
    style, content = sheet.style, sheet.content
    name, text = sheet.face(15), sheet.face(12)
    layout = int(style.integers(3))
    if layout == 0:
        height = int(style.integers(56, 84))
        for row in range(top, 728 - height, height):
            sheet.pen.ellipse((14, row + 6, 54, row + 46), fill=sheet.colour(40, 230))
            sheet.write((68, row + 8), sheet.words(2), name, ink)
            sheet.write((68, row + 30), sheet.words(int(content.integers(2, 5))), text, ink)
            sheet.pen.line((68, row + height - 1, 360, row + height - 1), fill=(128, 128, 128))
    elif layout == 1:
        across = int(style.integers(2, 4))
        cell = 360 // across
        for place in range(across * (640 // cell)):
            x, y = cell * (place % across), top + cell * (place // across)
            sheet.scene((x + 1, y + 1, x + cell - 1, y + cell - 1))
    else:
        sheet.pen.ellipse((14, top + 6, 50, top + 42), fill=sheet.colour(40, 230))
        sheet.write((60, top + 14), sheet.words(2), name, ink)
        sheet.scene((0, top + 52, 360, top + 52 + int(content.integers(260, 400))))
        sheet.lines((14, 560, 346, 720), text, ink)


def chat(sheet: Sheet) -> None:
    """A chat: bubbles on both sides under one head."""
    _, _, top = screen(sheet)
    style, content = sheet.style, sheet.content
    own, other, face = sheet.shade(60, 230), sheet.shade(60, 230), sheet.face(14)
    radius, row = int(style.integers(2, 16)), top + 10
    while row < 690:
        mine, width = content.random() < 0.5, int(content.integers(90, 250))
        height = min(int(content.integers(1, 5)) * 20 + 12, 718 - row)
        left = 346 - width if mine else 14
        box = (left, row, left + width, row + height)
        sheet.pen.rounded_rectangle(box, radius, fill=own if mine else other)
        paint: Colour = (20, 20, 20) if sum(own if mine else other) > 380 else (245, 245, 245)
        sheet.lines((left + 10, row + 5, left + width - 8, row + height), face, paint)
        row += height + int(style.integers(8, 10))


def chart(sheet: Sheet) -> None:
    """A chart: axes, a grid, curves, bars or points, labels."""
    style, content = sheet.style, sheet.content
    sheet.start(640, 480, (255, 255, 255))
    ink, face, kind = (40, 40, 40), sheet.face(int(style.integers(12, 18))), int(style.integers(3))
    colours = [sheet.shade(20, 200) for _ in range(3)]
    sheet.write((180, 16), sheet.words(4), face, ink)
    for number in range(6):
        y = 60 + number * 72
        sheet.pen.line((70, y, 610, y), fill=(215, 215, 215))
        sheet.write((20, y - 8), f"{content.uniform(0, 10) * (6 - number):.0f}", face, ink)
        sheet.write((80 + number * 92, 432), sheet.words(1)[:7], face, ink)
    x = np.linspace(70, 610, 40)
    for colour in colours[: int(content.integers(1, 4))]:
        y = 240 + np.cumsum(content.normal(0, 14, 40)) + content.uniform(-100, 100)
        points = list(zip(x.tolist(), np.clip(y, 64, 418).tolist(), strict=True))
        if kind == 0:
            sheet.pen.line(points, fill=colour, width=3)
        elif kind == 1:
            bars(sheet, (70, 60, 610, 420), colour, ink)
        else:
            for a, b in points:
                b = float(content.uniform(64, 418)) if content.random() < 0.7 else b
                sheet.pen.ellipse((a - 4, b - 4, a + 4, b + 4), fill=colour)
    sheet.pen.line((70, 60, 70, 420, 610, 420), fill=ink, width=2)


def diagram(sheet: Sheet) -> None:
    """Boxes with words, joined by lines."""
    style, content = sheet.style, sheet.content
    sheet.start(640, 440, sheet.shade(235, 256))
    fill, line, face = (
        sheet.shade(140, 250),
        sheet.shade(0, 120),
        sheet.face(int(style.integers(12, 17))),
    )
    round_ = int(style.integers(0, 18))
    cells = content.permutation(12)[: int(content.integers(4, 8))].tolist()
    centres = [(90 + 155 * (cell % 4), 75 + 145 * (cell // 4)) for cell in cells]
    for first, second in pairwise(centres):
        sheet.pen.line((*first, *second), fill=line, width=2)
    for x, y in centres:
        half = int(content.integers(44, 66))
        box = (x - half, y - 26, x + half, y + 26)
        sheet.pen.rounded_rectangle(box, round_, fill=fill, outline=line, width=2)
        sheet.write((x - half + 8, y - 8), sheet.words(1)[:10], face, line)


def glyphs(sheet: Sheet) -> None:
    """A sheet of letters, or a single one."""
    style, content = sheet.style, sheet.content
    paper, ink = sheet.shade(210, 256), sheet.shade(0, 110)
    sheet.start(320, 320, paper)
    across = int(style.choice([1, 2, 4, 6]))
    face = sheet.face(int(250 / across))
    for place in range(across * across):
        sign = str(content.choice(list("abcdefghkmnpqrstuvwxyzABCDEFGHKLMNPRSTUVWXYZ23456789&?")))
        at = (20 + 290 / across * (place % across), 5 + 290 / across * (place // across))
        sheet.write(at, sign, face, ink)


def comic(sheet: Sheet) -> None:
    """A page of panels: figures, hatching, speech."""
    style, content = sheet.style, sheet.content
    sheet.start(600, 820, (252, 250, 244))
    face, skin, shirt = sheet.face(15), sheet.shade(170, 255), sheet.shade(20, 220)
    rows = int(style.integers(2, 4))
    for row in range(rows):
        cuts = [
            20,
            *sorted((20 + 560 * style.uniform(0.3, 0.7, style.integers(1, 3))).tolist()),
            580,
        ]
        top, bottom = 20 + row * 790 // rows, 10 + (row + 1) * 790 // rows
        for start, end in pairwise(cuts):
            left, right = int(start) + 4, int(end) - 4
            if right - left < 40:
                continue
            sheet.pen.rectangle(
                (left, top, right, bottom), fill=sheet.colour(150, 255), outline=(0, 0, 0), width=3
            )
            for x in range(left, right, int(content.integers(9, 40))):
                sheet.pen.line(
                    (x, bottom - int(content.integers(10, 80)), x, bottom), fill=(90, 90, 90)
                )
            figure(sheet, (left, top, right, bottom), skin, shirt)
            bubble = (left + 8, top + 8, right - 8, top + 8 + int(content.integers(36, 70)))
            sheet.pen.ellipse(bubble, fill=(255, 255, 255), outline=(0, 0, 0), width=2)
            sheet.lines((left + 26, top + 20, right - 26, bubble[3]), face, (0, 0, 0))


def figure(sheet: Sheet, box: Box, skin: Colour, shirt: Colour) -> None:
    """Draw somebody in a panel."""
    left, top, right, bottom = box
    x = int(sheet.content.uniform(left + 20, right - 20))
    y = int(sheet.content.uniform((top + bottom) / 2, bottom - 60))
    r = int(sheet.content.integers(16, 32))
    sheet.pen.line((x, y, x + int(sheet.content.integers(-10, 10)), bottom), fill=shirt, width=r)
    for arm in (-1, 1):
        end = (x + arm * 2 * r, y + int(sheet.content.integers(-30, 60)))
        sheet.pen.line((x, y + r + 8, *end), fill=shirt, width=6)
    sheet.pen.ellipse((x - r, y - r, x + r, y + r), fill=skin, outline=(0, 0, 0), width=2)
    for eye in (-1, 1):
        sheet.pen.ellipse((x + eye * r // 2 - 2, y - 4, x + eye * r // 2 + 2, y), fill=(0, 0, 0))
    sheet.pen.arc(
        (x - r // 2, y, x + r // 2, y + r // 2),
        *sorted(sheet.content.integers(0, 360, 2).tolist()),
        fill=(0, 0, 0),
        width=2,
    )


def icon(sheet: Sheet) -> None:
    """Two to four plain shapes in the template's colours."""
    style, content = sheet.style, sheet.content
    sheet.start(256, 256, sheet.shade(200, 256) if style.random() < 0.7 else sheet.shade(0, 90))
    colours = [sheet.shade() for _ in range(3)]
    for number in range(int(content.integers(2, 5))):
        radius = int(content.integers(24, 100)) // (1 + number // 2)
        x, y = content.integers(60, 196, 2).tolist()
        box, fill = (x - radius, y - radius, x + radius, y + radius), colours[number % 3]
        kind = int(content.integers(5))
        if kind == 0:
            sheet.pen.ellipse(box, fill=fill)
        elif kind == 1:
            sheet.pen.ellipse(box, outline=fill, width=radius // 3)
        elif kind == 2:
            sheet.pen.rounded_rectangle(box, radius // 4, fill=fill)
        elif kind == 3:
            turn = float(content.uniform(0, 360))
            sheet.pen.regular_polygon((x, y, radius), int(content.integers(3, 7)), turn, fill=fill)
        else:
            sheet.pen.pieslice(box, *sorted(content.integers(0, 360, 2).tolist()), fill=fill)


def sky(sheet: Sheet) -> None:
    """A smooth sky over a horizon, or stars."""
    style, content = sheet.style, sheet.content
    low, high = (np.array(sheet.colour(0, 60)), np.array(sheet.colour(40, 256)))
    ramp = np.linspace(0, 1, 300)[:, None, None]
    picture = np.repeat(low + (high - low) * ramp, 400, axis=1)
    sheet.start(400, 300, (0, 0, 0))
    if style.random() < 0.5:
        hill = 220 + 30 * np.sin(np.arange(400) / content.uniform(30, 120) + content.uniform(0, 6))
        picture[np.arange(300)[:, None] > hill[None]] = sheet.colour(0, 120)
    sheet.canvas.paste(Image.fromarray(picture.clip(0, 255).astype(np.uint8)))
    for _ in range(int(content.integers(0, 160))):
        x, y = content.uniform(0, 400), content.uniform(0, 300)
        r = content.uniform(0.4, 1.8)
        sheet.pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 255, 240))


KINDS: dict[str, Callable[[Sheet], None]] = {
    kind.__name__: kind
    for kind in (page, slide, interface, chat, chart, diagram, glyphs, comic, icon, sky)
}


def draw_picture(
    kind: str, template: int, number: int, *, fonts: str, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Draw one picture of a template, uint8 ``[H, W, 3]``; the same for the same arguments."""
    place = [seed, sorted(FONTS).index(fonts), list(KINDS).index(kind), template]
    sheet = Sheet(
        np.random.default_rng(place), np.random.default_rng([*place, 1, number]), font_paths(fonts)
    )
    KINDS[kind](sheet)
    return np.asarray(sheet.canvas, np.uint8)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="folder that is made")
    parser.add_argument("--templates", type=int, default=4, help="of each kind (%(default)s)")
    parser.add_argument("--number", type=int, default=8, help="pictures of each template")
    parser.add_argument("--fonts", choices=sorted(FONTS), default="serif")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        if options.output.exists():
            raise AslError(f"{options.output}: exists already; delete it or choose another output")
        with atomic_folder(options.output) as folder:
            for kind in KINDS:
                for template, number in np.ndindex(options.templates, options.number):
                    picture = draw_picture(
                        kind, template, number, fonts=options.fonts, seed=options.seed
                    )
                    name = f"{kind}-{template:02d}-{number:02d}.png"
                    Image.fromarray(picture).save(folder / name)
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
