"""Draw the pictures of docs/how-it-works.md and write its numbers.

  python scripts/draw_docs.py                    docs/pictures/*.svg and the tables of the page
  python scripts/draw_docs.py --docs FOLDER      the same for a copy of the page in FOLDER

One generated scene and the packaged models are the only input: no download, no photograph, no other
licence. Each picture is one SVG file with its own background that follows light and dark mode.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from picture_cards import Cell, Place, rows_of_pictures, scattered, signed

from asl.data.images import Pixels
from asl.data.scenes import render_scene
from asl.edits import Edit, View
from asl.edits import Sequence as Steps
from asl.edits.composite import OverlayOnto
from asl.edits.detail import GaussianBlur
from asl.edits.drawing import Text
from asl.edits.engine.foreign_images import Pool
from asl.edits.engine.make_views import view_rng
from asl.edits.geometric import Crop, Pad
from asl.edits.photometric import Grayscale
from asl.features.cropping import network_input
from asl.features.runner import open_runner
from asl.matching import Verdict, Verifier
from asl.matching.evidence.agreement import DISAGREE
from asl.matching.evidence.examine import Findings, examine
from asl.models import load_embedder, model_hash
from asl.models.score_constants import base_score
from asl.scoring.score import Score, from_cosines
from asl.storage import atomic_text
from asl.types import F32, AslError

PAGE = "how-it-works.md"
SCENE, BACKGROUND, SIZE = 55, 703, {"height": 480, "width": 640}
EDITS: dict[str, Edit] = {
    "crop to 60 %": Crop(area=(0.6, 0.6), aspect=(1.2, 1.4)),
    "crop to 30 %": Crop(area=(0.3, 0.3), aspect=(1.2, 1.4)),
    "crop to 12 %": Crop(area=(0.12, 0.12), aspect=(1.2, 1.4)),
    "made grey": Grayscale(),
    "text on it": Text(height=(0.15, 0.15), lines=(3, 3)),
    "padded": Pad(share=(0.35, 0.35)),
    "blurred": GaussianBlur(sigma=(3.0, 3.0)),
    "pasted in": OverlayOnto(area=(0.4, 0.4)),
    "crop and text": Steps(
        [Crop(area=(0.6, 0.6), aspect=(1.2, 1.4)), Text(height=(0.12, 0.12), lines=(1, 1))]
    ),
}
PHOTO, LOOK, OTHER = "the photo", "another shot", "another scene"
CROP = "crop to 30 %"


@dataclass(frozen=True, eq=False)
class Material:
    """The scene, its views, their features, and who compares them."""

    views: dict[str, View]
    images: dict[str, Pixels]
    unit: dict[str, F32]
    log_norm: dict[str, float]
    verifier: Verifier
    score: Score

    def cosine(self, first: str, second: str) -> float:
        return float(min(1.0, self.unit[first] @ self.unit[second]))

    def angle(self, name: str) -> float:
        return float(np.degrees(np.arccos(self.cosine(name, PHOTO))))

    def hinge(self, query: str, reference: str) -> float:
        norms = (np.array([self.log_norm[name]], np.float32) for name in (query, reference))
        return float(from_cosines(np.array([self.cosine(query, reference)]), *norms, self.score)[0])

    def look(self, query: str, reference: str = PHOTO) -> tuple[Findings, Verdict]:
        sides = [self.verifier.prepare(self.images[name]) for name in (query, reference)]
        findings = examine(*sides, self.verifier.settings)
        return findings, self.verifier.decide(*sides, findings)


def prepare() -> Material:
    """Edit the scene and embed everything."""
    photo, pool = render_scene(SCENE, **SIZE), Pool([render_scene(BACKGROUND, **SIZE)])
    views = {PHOTO: View.original(photo, foreign=pool)}
    for name, edit in EDITS.items():
        views[name] = edit(views[PHOTO], view_rng(key=name, seed=0, number=0))
    images = {name: view.image for name, view in views.items()}
    images |= {LOOK: render_scene(SCENE, look=1, **SIZE), OTHER: render_scene(BACKGROUND, **SIZE)}
    embedder = load_embedder("asl_lite0")
    plan, runner = embedder.preprocessing, open_runner(embedder, "cpu")
    features = runner.embed([network_input(image, plan) for image in images.values()])
    norms = np.linalg.norm(features, axis=1)
    unit = dict(zip(images, features / norms[:, None], strict=True))
    score = base_score("asl_lite0", model_hash(embedder))
    return Material(
        views,
        images,
        unit,
        dict(zip(images, np.log(norms).tolist(), strict=True)),
        Verifier(),
        score,
    )


def angle_and_norm(material: Material) -> str:
    """Every view where its feature puts it."""
    shown = [
        PHOTO,
        "made grey",
        "padded",
        "crop to 60 %",
        CROP,
        "crop to 12 %",
        "pasted in",
        LOOK,
        OTHER,
    ]
    places = [
        Place(
            material.angle(name),
            material.log_norm[name],
            name,
            material.images[name],
            name in (LOOK, OTHER),
        )
        for name in shown
    ]
    labels = (
        "angle to the photo, degrees: what is shown",
        "log-norm: how much of the original is left",
    )
    return scattered(
        places, "views of one photo by angle and norm", x_label=labels[0], y_label=labels[1]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows in Markdown, with real minus signs."""
    text = "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
    return re.sub(r"-(?=\d)", "\u2212", text)


def direction(material: Material) -> tuple[str, str]:
    """A crop and its photo, asked both ways."""
    cells, rows = [], []
    for query, reference in ((CROP, PHOTO), (PHOTO, CROP)):
        chance = material.look(query, reference)[1].probability
        gap = material.log_norm[reference] - material.log_norm[query]
        rows.append(
            (
                f"{query} → {reference}",
                f"{material.cosine(query, reference):.2f}",
                f"{gap:+.2f}",
                f"{material.hinge(query, reference):.2f}",
                f"{chance:.2f}",
            )
        )
        answer = "a copy" if chance > 0.5 else "no copy"
        cells += [
            Cell(material.images[query], ["query"]),
            Cell(
                material.images[reference], ["reference", f"{answer}: P = {chance:.2f}"], sign="→"
            ),
        ]
    head = ("query → reference", "cosine", "n_r − n_q", "`hinge`", "`verified`")
    return rows_of_pictures([cells], "one pair, asked both ways"), table(head, rows)


def left_of_photo(view: View) -> Pixels:
    """The photo with everything dark and grey that the view does not show."""
    height, width = view.source_size
    seen = np.zeros((height, width), np.uint8)
    places = view.map.reshape(-1, 2)
    places = np.rint(places[np.isfinite(places).all(axis=1)]).astype(int)
    inside = ((places >= 0) & (places < (width, height))).all(axis=1)
    seen[places[inside, 1], places[inside, 0]] = 1
    seen = cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    photo = view.source.image
    grey = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return np.where(seen[..., None] > 0, photo, (grey * 0.3).astype(np.uint8))


def tracked(material: Material) -> tuple[str, str]:
    """Views, and below each what it leaves of the photo."""
    names = [CROP, "text on it", "padded", "pasted in", "blurred"]
    views = [material.views[name] for name in names]
    top = [
        Cell(view.image, [name, f"fidelity {view.fidelity:.2f}"])
        for name, view in zip(names, views, strict=True)
    ]
    below = [
        Cell(left_of_photo(view), [f"content {view.content:.2f}", f"cover {view.cover:.2f}"])
        for view in views
    ]
    rows = [
        (name, *(f"{getattr(view, key):.2f}" for key in ("content", "cover", "fidelity", "amount")))
        for name, view in zip(names, views, strict=True)
    ]
    return rows_of_pictures([top, below], "what is left of a photo", box=(132, 99)), table(
        ("view", "content", "cover", "fidelity", "amount"), rows
    )


def norms(material: Material) -> tuple[str, str]:
    """Views of one photo, the longest feature first."""
    names = sorted(material.views, key=lambda name: -material.log_norm[name])
    cells = [
        Cell(material.images[name], [name, f"log-norm {signed(material.log_norm[name], 2)}"])
        for name in names
    ]
    rows = [
        (name, f"{material.log_norm[name]:.2f}", f"{material.views[name].amount:.2f}")
        for name in names
    ]
    half = (len(cells) + 1) // 2
    drawn = rows_of_pictures(
        [cells[:half], cells[half:]], "views by the norm of their feature", box=(132, 99)
    )
    return drawn, table(("view", "log-norm", "amount left"), rows)


def differences(findings: Findings) -> tuple[Pixels, Pixels, Pixels]:
    """Draw both images on one grid: agreement blue, disagreement orange, no comparison grey."""
    comparison = findings.comparison
    if comparison is None:
        raise AslError(
            "draw_docs: a pair that was meant to be aligned is not; choose another SCENE"
        )
    sides = [
        np.repeat(np.clip(side, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        for side in (comparison.overlay.query, comparison.overlay.reference)
    ]
    shades = np.where(comparison.correlation[..., None] < DISAGREE, (235, 110, 20), (60, 130, 230))
    mixed = np.where(comparison.structured[..., None], 0.25 * sides[1] + 0.75 * shades, sides[1])
    return sides[0], sides[1], mixed.astype(np.uint8)


def aligned(material: Material, query: str, words: str) -> tuple[str, list[str]]:
    """What the verifier sees of a pair, and its row of numbers."""
    findings, verdict = material.look(query)
    region, evidence = verdict.regions[0], verdict.evidence
    ours, theirs, where = differences(findings)
    cells = [
        Cell(material.images[query], [words], region.query_outline),
        Cell(material.images[PHOTO], ["the photo"], region.reference_outline),
        Cell(ours, ["both on one grid"]),
        Cell(theirs, ["the photo there"]),
        Cell(where, [f"agree, differ: P = {verdict.probability:.2f}"]),
    ]
    row = [
        query,
        f"{material.cosine(query, PHOTO):.2f}",
        f"{evidence.corr_quarter:.2f}",
        f"{evidence.diffuse:.2f}",
        f"{evidence.added:.2f}",
        f"{verdict.probability:.2f}",
    ]
    return rows_of_pictures([cells], f"{words}, laid over the photo", box=(150, 112)), row


def seam(material: Material) -> tuple[str, str]:
    """Draw a pasted picture, which has an edge, beside a crop, whose scene continues."""
    cells, rows = [], []
    for query, reference, words in (
        ("pasted in", PHOTO, "pasted: an edge"),
        (PHOTO, CROP, "photo, its crop: none"),
    ):
        verdict = material.look(query, reference)[1]
        outline = verdict.regions[0].query_outline
        image = material.images[query]
        low, high = outline.min(axis=0), outline.max(axis=0)
        corner = np.clip(
            (low if low.min() > 0.05 else high) * image.shape[1::-1],
            90,
            np.array(image.shape[1::-1]) - 90,
        )
        x, y = corner.astype(int)
        cells += [
            Cell(image, [words], outline),
            Cell(image[y - 67 : y + 67, x - 90 : x + 90], ["its corner, larger"]),
        ]
        rows.append(
            (
                f"{query} → {reference}",
                f"{verdict.evidence.cover_query:.2f}",
                f"{verdict.evidence.seam_query:.2f}",
                f"{verdict.probability:.2f}",
            )
        )
    head = ("query → reference", "share of the query covered", "seam", "`verified`")
    return rows_of_pictures([cells], "a seam and none"), table(head, rows)


def draw(material: Material) -> tuple[dict[str, str], dict[str, str]]:
    """Name -> picture, and name -> table."""
    pictures, tables = {"angle-and-norm": angle_and_norm(material)}, {}
    for name, make in (
        ("direction", direction),
        ("tracked", tracked),
        ("norms", norms),
        ("seam", seam),
    ):
        pictures[name], tables[name] = make(material)
    pictures["aligned"], copy = aligned(material, "crop and text", "crop with text")
    pictures["look-alike"], other = aligned(material, LOOK, "another shot")
    head = (
        "query",
        "cosine",
        "correlation, lowest quarter",
        "differs in lines",
        "differs in pieces",
        "`verified`",
    )
    tables["aligned"] = table(head, [copy, other])
    return pictures, tables


def filled(page: str, tables: Mapping[str, str]) -> str:
    """The page with every table between its marks."""
    for name, text in tables.items():
        marks = f"<!-- numbers: {name} -->", "<!-- /numbers -->"
        pattern = re.compile(f"({re.escape(marks[0])}\n).*?(\n{re.escape(marks[1])})", re.DOTALL)
        page, count = pattern.subn(lambda found, text=text: f"{found[1]}\n{text}\n{found[2]}", page)
        if count != 1:
            raise AslError(f"{PAGE}: expected {marks[0]} … {marks[1]} once, found it {count} times")
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[1] / "docs")
    folder = parser.parse_args(arguments).docs
    try:
        pictures, tables = draw(prepare())
        page = filled((folder / PAGE).read_text(encoding="utf-8"), tables)
        (folder / "pictures").mkdir(exist_ok=True)
        for name, text in {
            **{f"pictures/{name}.svg": text for name, text in pictures.items()},
            PAGE: page,
        }.items():
            with atomic_text(folder / name) as file:
                file.write(text)
            print(f"{folder / name}: {len(text) / 1000:.0f} kB")
    except AslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
