"""Photographs and parts that were cut out of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import torch

from asl.data.scenes import render_scene
from asl.models import build_embedder, save_embedder


def make_cut_images(folder: Path) -> Path:
    """Four references; queries cut from the first three, and one that a reference was cut from."""
    for role in ("new", "library"):
        (folder / role).mkdir()
    for number in range(5):
        image = render_scene(number, height=192, width=256)[..., ::-1]
        part = image[20:170, 30:220]
        whole, crop = ("library", "new") if number < 3 else ("new", "library")
        cv2.imwrite(str(folder / whole / f"{number}.png"), image)
        if number < 4:
            cv2.imwrite(str(folder / crop / f"{number}.png"), part)
    torch.manual_seed(0)
    embedder = build_embedder(backbone="mobilenetv3_small_050", neck="none", size=64).eval()
    save_embedder(embedder, folder / "m.safetensors", card={})
    return folder
