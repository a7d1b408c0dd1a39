"""Edits of benchmark queries, one per named kind, held out from the training recipes.

Parameters and chains differ from every recipe in ``conf/edits`` (other ranges, other combinations,
other codecs): a model is evaluated on families of edits that it may have seen, but not on the edits
that it was trained with.
"""

from __future__ import annotations

from asl.edits.composite import Blend, Collage, ImageOnTop, Meme, OverlayOnto, Screenshot
from asl.edits.detail import GaussianBlur, Noise, Pixelise, Recompress
from asl.edits.drawing import Erase, Sticker, Stripes, Text
from asl.edits.engine.edit_base import Edit, Sequence, SomeOf
from asl.edits.geometric import ChangeAspect, Crop, Flip, Pad, Perspective, Rotate, RotateRight
from asl.edits.local_warps import GridDistortion
from asl.edits.photometric import ColourJitter, Grayscale, Levels, Pixelwise, ToneCurve


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
