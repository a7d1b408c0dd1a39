"""Edited views of photographs, stored as the output of a network's first stages.

A training of the later stages reads a view of 160 pixels as 32 KB and never computes the first
stages, nor its edits, again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from verifier_queries import DRAWN_RECIPES, recipes

from asl.console.progress import progress_bar
from asl.data.catalog import Catalog, open_catalog
from asl.data.images import decode_image
from asl.edits import Edit, OneOf, View
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import make_views
from asl.models import Embedder, load_embedder, model_hash
from asl.parallel import spawned_map
from asl.storage import atomic_text, read_json
from asl.types import AslError

# Shares of the recipes of verifier_queries: mostly chains as strong as DISC21's, or with more of
# what people do.
SHARES = {
    "strong": {
        "strong": 0.38,
        "disc_like": 0.32,
        "several": 0.07,
        "single": 0.06,
        "moderate": 0.04,
        "scanned": 0.04,
        "refilled": 0.03,
        "printed": 0.03,
        "night": 0.03,
    },
    "broad": {
        "strong": 0.28,
        "disc_like": 0.26,
        "several": 0.12,
        "single": 0.1,
        "moderate": 0.1,
        "scanned": 0.05,
        "refilled": 0.03,
        "printed": 0.03,
        "night": 0.03,
    },
    "drawn": DRAWN_RECIPES,
}
Maps = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Photos:
    """The photographs of several folders, one after the other."""

    folders: tuple[Catalog, ...]

    @classmethod
    def open(cls, folders: Sequence[Path]) -> Photos:
        """Open the folders."""
        return cls(tuple(open_catalog(folder) for folder in folders))

    def __len__(self) -> int:
        return sum(len(folder) for folder in self.folders)

    def find(self, row: int) -> tuple[Catalog, int]:
        """Return the folder of a photograph, and its row there."""
        for folder in self.folders:
            if row < len(folder):
                return folder, row
            row -= len(folder)
        raise IndexError(row)

    def __getitem__(self, row: int) -> npt.NDArray[np.uint8]:
        folder, own = self.find(row)
        return decode_image(folder.read(own))


def mixed(edits: str) -> Edit:
    """Draw one of the recipes in an entry of :data:`SHARES`."""
    known, shares = recipes(), SHARES[edits]
    return OneOf([known[name] for name in shares], weights=list(shares.values()))


class FirstStages(nn.Module):
    """The stem and the first stages of an EfficientNet."""

    def __init__(self, embedder: Embedder, stages: int) -> None:
        super().__init__()
        self.embedder = embedder
        self.stages = stages

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 ``[B, 3, S, S]`` to ``[B, C, h, w]``."""
        network: Any = self.embedder.backbone
        pixels = self.embedder.normalise(images).contiguous(memory_format=torch.channels_last)
        features: Tensor = network.bn1(network.conv_stem(pixels))
        for stage in network.blocks[: self.stages]:
            features = stage(features)
        return features


@dataclass(frozen=True)
class ViewOptions:
    """What decides the views of a photograph and their maps.

    Attributes:
        model: whose stages make the maps.
        edits: an entry of :data:`SHARES`.
        views: of each photograph, of which the first is un-edited.
        size: of a view, in pixels.
        seed: of the edits.
        stages: first ones of the network, whose output is cached; 0 where another part is.
    """

    model: str
    edits: str
    views: int
    size: int
    seed: int
    stages: int = 0

    def facts(self, photos: Photos) -> dict[str, Any]:
        """Facts that a file of views of these photographs keeps."""
        numbers = ("views", "size", "seed", "stages")
        return {
            "photographs": len(photos),
            "model": model_hash(load_embedder(self.model)),
            **{name: getattr(self, name) for name in numbers},
            "shares": SHARES[self.edits],
        }


class EditedViews:
    """Make the views of a photograph; can be sent to other processes before its first use."""

    def __init__(self, photos: Photos, options: ViewOptions, *, prefix: str = "") -> None:
        self._photos, self._options, self._prefix = photos, options, prefix
        self._edit: Edit | None = None

    def __call__(self, row: int) -> list[View]:
        """Return K views, the first one un-edited; ``prefix`` makes others of the same seed."""
        options = self._options
        self._edit = self._edit or mixed(options.edits)
        folder, own = self._photos.find(row)
        return make_views(
            decode_image(folder.read(own), least=2 * options.size),
            self._edit,
            key=f"{self._prefix}{folder.ids[own]}",
            seed=options.seed,
            views=options.views,
            size=options.size,
            pool=Pool(self._photos),
        )


def pixels_of(views: Sequence[View]) -> Tensor:
    """Return the pixels of K views, uint8 ``[K, 3, S, S]``."""
    return torch.from_numpy(np.stack([view.image for view in views]).transpose(0, 3, 1, 2).copy())


class MapMaker:
    """Make the maps of a photograph's views, in a process of its own."""

    def __init__(self, photos: Photos, options: ViewOptions) -> None:
        self._views, self._options = EditedViews(photos, options), options
        self._network: FirstStages | None = None

    def __call__(self, row: int) -> Maps:
        """Return float16 ``[K, h, w, C]``, view 0 un-edited."""
        if self._network is None:
            torch.set_num_threads(1)
            embedder = load_embedder(self._options.model).eval()
            embedder = embedder.to(memory_format=torch.channels_last)
            self._network = FirstStages(embedder, self._options.stages)
        pixels = pixels_of(self._views(row))
        with torch.inference_mode():
            maps: Maps = self._network(pixels).permute(0, 2, 3, 1).half().numpy()
        return maps


@dataclass(frozen=True, eq=False)
class CachedViews:
    """Views of N photographs, mapped from disk.

    Attributes:
        maps: float16 ``[N, K, h, w, C]``; view 0 is un-edited.
        facts: of the cache (:meth:`ViewOptions.facts`).
    """

    maps: Maps
    facts: dict[str, Any]

    @classmethod
    def open(cls, folder: Path, expected: dict[str, Any]) -> CachedViews:
        """Open a cache that :func:`cache_views` has written whole.

        Raises:
            AslError: it is damaged, or was made from other facts than the expected ones.
        """
        facts = read_json(folder / "facts.json", remedy="remove the folder; it is made again")
        check_same(folder, facts, expected)
        return cls(np.load(folder / "maps.npy", mmap_mode="r"), facts)

    def batch(self, rows: npt.ArrayLike, views: npt.ArrayLike) -> Tensor:
        """Return float32 ``[B, C, h, w]`` of a view of each row."""
        chosen = torch.from_numpy(self.maps[np.asarray(rows), np.asarray(views)])
        return chosen.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)


def check_same(path: Path, stored: dict[str, Any], expected: dict[str, Any]) -> None:
    """Check that a file of an earlier run was made with the same options.

    Raises:
        AslError: it was not.
    """
    for name, value in expected.items():
        if stored.get(name) != value:
            raise AslError(
                f"{path}: was made with {name} {stored.get(name)}, not {value}; "
                "remove it, or name another one"
            )


def cache_views(
    folders: Sequence[Path], output: Path, options: ViewOptions, *, workers: int
) -> CachedViews:
    """Open the views of all photographs in a folder, or write them; ``facts.json`` comes last.

    Raises:
        AslError: an image is unreadable (training photographs are checked by hand), or the folder
            holds views of other photographs, another model or other options.
    """
    photos = Photos.open(folders)
    facts = options.facts(photos)
    if (output / "facts.json").exists():
        return CachedViews.open(output, facts)
    maker = MapMaker(photos, options)
    output.mkdir(parents=True, exist_ok=True)
    maps = None
    made = spawned_map(maker, range(len(photos)), processes=workers)
    with progress_bar("views", unit="photographs") as progress:
        for row, part in enumerate(made):
            if maps is None:
                maps = np.lib.format.open_memmap(
                    output / "maps.npy", "w+", np.float16, (len(photos), *part.shape)
                )
            maps[row] = part
            progress(row + 1, len(photos))
    if maps is None:
        raise AslError(f"{', '.join(map(str, folders))}: no photographs")
    maps.flush()
    with atomic_text(output / "facts.json") as file:
        file.write(json.dumps(facts, indent=1))
    return CachedViews.open(output, facts)
