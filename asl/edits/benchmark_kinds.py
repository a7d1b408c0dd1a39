"""Edits of benchmark queries, one per named kind, held out from the training recipes.

:data:`LEVELS` names three sets: single edits (``plain``), chains of strong edits (``hard``), and
what is done to pages, slides and screens (``drawn``).

Parameters and chains differ from every recipe in ``conf/edits`` (other ranges, other combinations,
other codecs): a model is evaluated on families of edits that it may have seen, but not on the edits
that it was trained with.
"""

from __future__ import annotations

from collections.abc import Callable

from asl.edits.composite import Blend, Collage, ImageOnTop, Meme, OverlayOnto, Screenshot
from asl.edits.detail import DefocusBlur, GaussianBlur, Noise, Pixelise, Recompress, Sharpen
from asl.edits.drawing import Annotate, Censor, Erase, Sticker, Stripes, Text, Watermark
from asl.edits.engine.edit_base import Edit, OneOf, Sequence, SomeOf
from asl.edits.filters import Darken, Halftone, Moire, Tint, Vignette
from asl.edits.geometric import (
    ChangeAspect,
    Crop,
    Flip,
    Pad,
    Perspective,
    Resize,
    Rotate,
    RotateRight,
    Shear,
)
from asl.edits.local_warps import GridDistortion
from asl.edits.photometric import (
    ColourJitter,
    Contrast,
    Grayscale,
    Levels,
    Pixelwise,
    ToneCurve,
)


def benchmark_kinds() -> dict[str, Edit]:
    """Map each kind of query to the edit that creates it."""
    jpeg = Recompress(quality=(25, 75), times=(1, 3), webp=0.5)
    kinds: dict[str, Edit] = {
        "crop": Crop(area=(0.3, 0.6), aspect=(0.5, 2.0)),
        "small_crop": Crop(area=(0.1, 0.2), aspect=(0.7, 1.4)),
        "pad": Pad(share=(0.15, 0.5)),
        "aspect": ChangeAspect(ratio=(1.5, 2.2)),
        "flip": Sequence([Flip(), Crop(area=(0.6, 0.9))]),
        "turn": RotateRight(),
        "rotate": Rotate(degrees=(10, 60), grow=False, border="reflect"),
        "perspective": Perspective(strength=(0.15, 0.35), border="replicate"),
        "distort": GridDistortion(strength=(0.2, 0.5)),
        "colour": ColourJitter(brightness=0.6, contrast=0.6, saturation=1.0, hue=0.35),
        "grayscale": Sequence([Grayscale(), ToneCurve(strength=(0.1, 0.3))]),
        "invert": Levels("invert"),
        "blur": GaussianBlur(sigma=(1.5, 3.0)),
        "noise": Noise(sigma=(30, 55)),
        "pixelise": Pixelise(squares=(20, 36)),
        "jpeg": Recompress(quality=(3, 8), times=(1, 2), webp=0.3),
        "filter": SomeOf(
            [
                Pixelwise("CLAHE"),
                Pixelwise("Emboss"),
                ToneCurve(strength=(0.2, 0.4)),
                Levels("posterise"),
            ],
            1,
            2,
        ),
        "text": Sequence([Text(height=(0.12, 0.25), lines=(2, 3)), jpeg]),
        "sticker": Sequence([Sticker(side=(0.3, 0.6), count=(1, 3)), jpeg]),
        "stripes": Stripes(width=(0.015, 0.04), count=(3, 6), smear=0.7),
        "erase": Erase(area=(0.08, 0.25), count=(2, 3)),
        "image_on_top": ImageOnTop(area=(0.25, 0.5)),
        "overlay_onto": Sequence([OverlayOnto(area=(0.12, 0.35)), jpeg]),
        "blend": Blend(share=(0.3, 0.5)),
        "collage": Sequence([Collage(rows=(1, 2), columns=(2, 3)), jpeg]),
        "meme": Sequence([Crop(area=(0.7, 1.0)), Meme(bar=(0.2, 0.6))]),
        "screenshot": Sequence([Crop(area=(0.6, 1.0)), Screenshot(share=(0.25, 0.6)), jpeg]),
        "chain": Sequence(
            [
                Crop(area=(0.4, 0.8)),
                Flip(),
                ColourJitter(hue=0.2),
                Text(),
                OverlayOnto(area=(0.3, 0.6)),
                jpeg,
            ]
        ),
    }
    return kinds


def hard_kinds() -> dict[str, Edit]:
    """Map each kind of hard query to a chain of strong edits, about as strong as DISC21's.

    Shape, tone, resampling and codec are drawn from in turn. Photographed screens are in no
    training recipe; prints and night are in the verifier's fit with other parameters (other dots,
    brightness and noise).
    """
    shape = _strong_shape()
    tone = _strong_tone()
    resampled = _strong_resampling()
    codec = Recompress(quality=(8, 40), times=(1, 3), webp=0.4)
    over = OneOf(
        [
            ImageOnTop(area=(0.1, 0.35)),
            Text(height=(0.08, 0.2), lines=(1, 3)),
            Sticker(side=(0.2, 0.5), count=(1, 3)),
            Watermark(opacity=(0.3, 0.6)),
        ]
    )
    under = OneOf(
        [OverlayOnto(area=(0.2, 0.5)), Collage(rows=(1, 2), columns=(2, 2)), Screenshot((0.3, 0.6))]
    )
    photographed = [
        Moire(period=(0.5, 2.0), strength=(0.05, 0.2)),
        Perspective(strength=(0.05, 0.2)),
        Vignette(strength=(0.2, 0.6)),
        Noise(sigma=(4, 15)),
    ]
    return {
        "two_edits": Sequence([shape, OneOf([tone, resampled])]),
        "three_edits": Sequence([shape, tone, OneOf([resampled, codec])]),
        "four_edits": Sequence([shape, tone, resampled, codec]),
        "three_and_over": Sequence([shape, tone, over]),
        "three_and_under": Sequence([shape, tone, under]),
        "five_edits": Sequence([shape, tone, resampled, OneOf([over, under]), codec]),
        "photographed_screen": Sequence([*photographed, codec]),
        "printed": Sequence([Halftone(dots=(90, 160)), Perspective(strength=(0.03, 0.15)), tone]),
        "thumbnail": Sequence([shape, Resize(scale=(0.15, 0.3)), codec]),
        "night": Sequence([Darken(factor=(0.08, 0.2)), Noise(sigma=(6, 14)), shape]),
    }


def _strong_shape() -> Edit:
    return OneOf(
        [
            Crop(area=(0.25, 0.6), aspect=(0.6, 1.7)),
            Perspective(strength=(0.12, 0.3)),
            Sequence([Flip(), Crop(area=(0.5, 0.9))]),
            Rotate(degrees=(8, 45), grow=True),
            ChangeAspect(ratio=(1.4, 2.0)),
            Shear(factor=(-0.35, 0.35)),
            GridDistortion(strength=(0.2, 0.45)),
        ]
    )


def _strong_tone() -> Edit:
    return OneOf(
        [
            ColourJitter(brightness=0.7, contrast=0.7, saturation=1.0, hue=0.4),
            Sequence([Grayscale(), Contrast(factor=(0.4, 2.2))]),
            ToneCurve(strength=(0.25, 0.45)),
            Levels("equalise"),
            Levels("posterise"),
            Tint(share=(0.5, 0.9)),
            Darken(factor=(0.15, 0.4)),
        ]
    )


def _strong_resampling() -> Edit:
    return OneOf(
        [
            Resize(scale=(0.2, 0.45)),
            GaussianBlur(sigma=(1.0, 2.4)),
            Pixelise(squares=(34, 70)),
            Noise(sigma=(15, 40)),
            DefocusBlur(radius=(1.0, 2.2)),
        ]
    )


def drawn_kinds() -> dict[str, Edit]:
    """Map each kind of query to what people do to pages, slides and screens."""
    return {
        "saved_again": Recompress(quality=(30, 80), times=(1, 2), webp=0.4),
        "made_smaller": Sequence([Resize(scale=(0.35, 0.8)), Recompress(quality=(40, 85))]),
        "cropped": Crop(area=(0.4, 0.8), aspect=(0.6, 1.6)),
        "censored": Sequence([Censor(height=(0.03, 0.1), count=(2, 5)), Recompress((40, 90))]),
        "annotated": Sequence([Annotate(count=(2, 5)), Recompress((40, 90))]),
        "recoloured": OneOf([Levels("invert"), Tint(share=(0.4, 0.9)), Levels("swap")]),
        "screenshot": Sequence([Screenshot((0.4, 0.8)), Recompress((40, 90))]),
        "padded": Pad(share=(0.1, 0.4)),
        "photographed": Sequence(
            [
                Perspective(strength=(0.05, 0.15)),
                Vignette(strength=(0.2, 0.5)),
                GaussianBlur(sigma=(0.5, 1.0)),
                Noise(sigma=(3, 9)),
            ]
        ),
        "sharpened_grey": Sequence([Grayscale(), Sharpen(amount=(1.0, 2.5))]),
    }


LEVELS: dict[str, Callable[[], dict[str, Edit]]] = {
    "plain": benchmark_kinds,
    "hard": hard_kinds,
    "drawn": drawn_kinds,
}
