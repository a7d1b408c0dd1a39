"""Render text in TrueType fonts as alpha masks."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from asl.edits.drawn.paste import Alpha
from asl.edits.engine.edit_base import Rng
from asl.types import AslError

_WORDS = """
    the light over a small town at night when we all came home again to see what was left of summer
    and nobody knew SALE NEW wow best day ever LOL follow me @photo 2024 breaking news share this
    free shipping 50% off why not good morning
    © www.example.org #travel #nature top 10 you will not believe
""".split()  # noqa: SIM905
_SIGNS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!?&%$#@*+=<>/"


@lru_cache(maxsize=128)
def font(size: int, path: str = "") -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Load a TrueType font at ``size`` pixels: a file, or Pillow's own (Aileron, CC0).

    Raises:
        AslError: the file is missing or no font.
    """
    if not path:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(str(Path(path).expanduser()), size)
    except OSError as error:
        raise AslError(
            f"fonts: {path!r} cannot be read as a TrueType or OpenType font ({error}); "
            "check the path"
        ) from error


def sentence(rng: Rng, words: int) -> str:
    """Draw words in random order."""
    return " ".join(rng.choice(_WORDS, size=words).tolist())


def gibberish(rng: Rng, signs: int) -> str:
    """Draw random letters, digits and punctuation."""
    return "".join(_SIGNS[number] for number in rng.integers(len(_SIGNS), size=signs))


@lru_cache(maxsize=64)
def letters(text: str, size: int, path: str = "", *, bold: int = 0, slant: float = 0.0) -> Alpha:
    """Render the shape of a text.

    Args:
        text: one or more lines.
        size: height of a line in pixels.
        path: of a font; Pillow's own unless given.
        bold: pixels by which strokes are thickened.
        slant: columns to the right per row upwards.

    Returns:
        uint8 ``[h, w]``, 255 inside the strokes; read-only.
    """
    face = font(size, path)
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=face, stroke_width=bold)
    width, height = max(1, int(np.ceil(right - left))), max(1, int(np.ceil(bottom - top)))
    reach = round(abs(slant) * height)
    layer = Image.new("L", (width + reach, height), 0)
    start = (-left + (reach if slant < 0 else 0), -top)
    ImageDraw.Draw(layer).multiline_text(start, text, fill=255, font=face, stroke_width=bold)
    if slant:
        matrix = (1, slant, -slant * height, 0, 1, 0)
        layer = layer.transform(
            layer.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
    alpha = np.array(layer, dtype=np.uint8)
    alpha.flags.writeable = False
    return alpha
