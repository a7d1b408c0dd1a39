"""The page: well-formed, self-contained, complete; its twins hold the same numbers."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from asl.data.catalog import Catalog, open_catalog
from asl.metrics.evaluation import evaluate
from asl.metrics.significance import compare
from asl.report.curve_file import CURVE_FILE
from asl.report.html import Report, write_report
from asl.types import QueryEmbeddings, ReferenceEmbeddings, ScoredPairs, TruthPairs

QUERIES = [f"q{n}" for n in range(12)]
KINDS = {f"q{n}": ("crop", "pad", "hard:video")[n % 3] for n in range(12)}
TRUTH = TruthPairs.from_pairs(
    [(q, f"r{q[1:]}") for q in QUERIES if KINDS[q][:4] != "hard"],
    other_queries=QUERIES,
    kinds=KINDS,
)


def run(seed: int) -> ScoredPairs:
    rng = np.random.default_rng(seed)
    names = [(q, f"r{(int(q[1:]) + step) % 12}") for q in QUERIES for step in (0, 1)]
    scores = [
        rng.normal(0.3 + 0.5 * (q[1:] == r[1:] and KINDS[q][:4] != "hard"), 0.1) for q, r in names
    ]
    return ScoredPairs.from_ids([q for q, _ in names], [r for _, r in names], scores)


class Parser(HTMLParser):
    """Collects what a browser would load, and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [
            value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")
        ]


def embeddings() -> tuple[QueryEmbeddings, ReferenceEmbeddings]:
    rng = np.random.default_rng(0)
    queries = QueryEmbeddings.from_features(QUERIES, rng.normal(size=(12, 4)))
    references = ReferenceEmbeddings.from_features(
        [f"r{n}" for n in range(12)], 2 * rng.normal(size=(12, 4))
    )
    return queries, references


def images(folder: Path, prefix: str) -> Catalog:
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(12):
        cv2.imwrite(
            str(folder / f"{prefix}{number}.png"), rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
        )
    return open_catalog(folder, id_style="stem")


@pytest.fixture
def full(tmp_path: Path) -> Path:
    pairs = {"cosine": run(0), "hinge <1>": run(1)}
    queries, references = embeddings()
    groups = {q: f"album {int(q[1:]) % 2}" for q in QUERIES}
    write_report(
        tmp_path / "out" / "report.html",
        Report(
            title="A & B",
            evaluations={
                name: evaluate(p, TRUTH, bootstrap=20, groups=groups) for name, p in pairs.items()
            },
            pairs=pairs,
            truth=TRUTH,
            queries=queries,
            references=references,
            query_images=images(tmp_path / "q", "q"),
            reference_images=images(tmp_path / "r", "r"),
            differences={
                "hinge <1>": compare(pairs["hinge <1>"], pairs["cosine"], TRUTH, bootstrap=20)
            },
            facts={"model": "m<script>", "seed": 3},
        ),
    )
    return tmp_path / "out"


def test_the_page_is_one_file_that_loads_nothing(full: Path) -> None:
    text = (full / "report.html").read_text()
    parser = Parser()
    parser.feed(text)
    assert parser.sources
    others = {s for s in parser.sources if not s.startswith("data:image/jpeg;base64,")}
    assert others == {CURVE_FILE}, "a link, which is not loaded"
    assert (full / CURVE_FILE).is_file()
    assert "script" not in parser.tags
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert "prefers-color-scheme:dark" in text
    files = ["asl.sha256", "metrics.json", CURVE_FILE, "report.html", "report.md"]
    assert sorted(p.name for p in full.iterdir()) == files


def test_the_page_has_every_part(full: Path) -> None:
    text = (full / "report.html").read_text()
    headings = re.findall(r"<h[12]>(.*?)</h[12]>", text)
    assert headings == [
        "A &amp; B",
        "Against cosine",
        "Precision over recall",
        "Do the norms know the direction?",
        "Score by kind of query",
        "By kind of query",
        "By group",
        "The surest false matches",
        "True pairs that were missed",
        "How this was made",
    ]
    assert text.count("<svg") == 3
    for word in (
        "hinge &lt;1&gt;",
        "m&lt;script&gt;",
        "album 1",
        "hard:video",
        "reversed (8)",
    ):
        assert word in text
    assert "hinge <1>" not in text


def test_tags_are_balanced_where_html_asks_for_it(full: Path) -> None:
    text = re.sub(r"<svg.*?</svg>", "", (full / "report.html").read_text(), flags=re.S)
    for tag in (
        "table",
        "div",
        "section",
        "figure",
        "figcaption",
        "main",
        "span",
        "dl",
        "h2",
        "small",
        "b",
        "i",
        "u",
        "s",
    ):
        assert len(re.findall(rf"<{tag}[ >]", text)) == text.count(f"</{tag}>"), tag


def test_the_twins_hold_the_same_numbers(full: Path) -> None:
    document = json.loads((full / "metrics.json").read_text())
    assert set(document["scores"]) == {"cosine", "hinge <1>"}
    uap = document["scores"]["cosine"]["uap"]
    markdown = (full / "report.md").read_text()
    assert f"{uap:.3f}" in markdown
    assert f"<b>{uap:.3f}</b>" in (full / "report.html").read_text()
    assert document["directional"]["auroc_hard"] is not None
    assert document["differences"]["hinge <1>"]["uap"]["p"] <= 1
    assert document["context"] == {"model": "m<script>", "seed": 3}
    for part in ("## Difference to cosine", "## By kind", "## By group", "- seed: 3"):
        assert part in markdown


def test_pairs_alone_make_a_page_without_norms_and_pictures(tmp_path: Path) -> None:
    plain = TruthPairs.from_pairs([("q1", "r1")])
    pairs = {"run": run(0)}
    write_report(
        tmp_path / "r.html",
        Report(
            title="t",
            evaluations={"run": evaluate(pairs["run"], plain)},
            pairs=pairs,
            truth=plain,
        ),
    )
    text = (tmp_path / "r.html").read_text()
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["Precision over recall"]
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["uap"] == document["scores"]["run"]["uap"]
    assert document["directional"] is None


def test_nothing_right_and_nothing_predicted_still_make_a_page(tmp_path: Path) -> None:
    for name, pairs in (
        ("wrong", ScoredPairs.from_ids(["q0"], ["r5"], [1.0])),
        ("none", ScoredPairs.from_ids([], [], [])),
    ):
        write_report(
            tmp_path / f"{name}.html",
            Report(
                title=name,
                evaluations={name: evaluate(pairs, TRUTH, bootstrap=5)},
                pairs={name: pairs},
                truth=TRUTH,
            ),
        )
        text = (tmp_path / f"{name}.html").read_text()
        assert "No threshold on the scores" in text
        assert json.loads((tmp_path / "metrics.json").read_text())["threshold_at_p90"] is None
