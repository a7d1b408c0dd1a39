"""Command lines of the verbs that people use: every spelling, text as typed, one-line errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.cli import compose, start
from asl.console.verbs import VERBS, Verb
from asl.types import UsageError

NAMES = [
    "2024_11_29",
    "写真",
    "Photos (1)",
    "h#1",
    "1e3",
    "${set}",
    "${oc.env:HOME}",
    "a,b",
    "a=b",
    "[x]",
    "{x}",
    "007",
    "true",
    "0x10",
    "it's",
    "a\\b",
    "C:\\photos\\",
    "two  spaces",
    "-x",
    "@file",
    "!x",
    "&x",
    "*",
    "%s",
    "a:b",
]


@pytest.mark.parametrize("name", NAMES)
def test_text_is_taken_as_it_was_typed(name: str) -> None:
    for words in (
        [f"images={name}", f"output={name}"],
        [f"--images={name}", f"--output={name}"],
        ["--images", name, "--output", name],
    ):
        config = compose("extract", words)
        assert (config.images, config.output) == (name, name)
    assert compose("search", [f"queries={name}", "references=x", "output=p.csv"]).queries == name
    assert compose("edit", [f"images={name}", "output=x", f"edits={name}"]).edits == name
    config = compose("train", ["data=folder", f"data.train={name}", f"output={name}"])
    assert (config.data.train, config.output) == (name, name)


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compose("export", ["output=~/x.onnx"]).output == str(tmp_path / "x.onnx")
    assert compose("train", ["output=~/x"]).output == str(tmp_path / "x")


@pytest.mark.parametrize(
    "words",
    [
        ["sizes=[112,160]", "k=5", "local_candidates=2", "verify=true"],
        ["sizes=112,160", "--k", "5", "--local-candidates", "2", "--verify"],
        ["--sizes", "112", "160", "--k=5", "--local_candidates=2", "--verify", "true"],
        ["--sizes", "112", "160", "k=5", "local-candidates=2", "--verify=true"],
        ["sizes=[ 112 , 160 ]", "k=7", "k=5", "--local-candidates=2", "verify=True"],
    ],
)
def test_every_spelling_means_the_same(words: list[str]) -> None:
    config = compose("reproduce", ["benchmark=sample", *words])
    assert (config.sizes, config.k) == ([112, 160], 5)
    assert (config.local_candidates, config.verify) == (2, True)


def test_null_and_lists() -> None:
    keys = ["queries=q", "references=r", "output=p.csv"]
    config = compose("search", [*keys, "k=null", "--most", "null", "clip=[0.5,2]"])
    assert (config.k, config.most, config.clip) == (None, None, [0.5, 2.0])
    assert compose("search", [*keys, "clip=null"]).clip is None
    assert compose("evaluate", ["output=x", "compare=[]"]).compare == []
    assert compose("evaluate", ["output=x", 'compare=["a,b.csv",c.csv]']).compare[0] == "a,b.csv"
    assert compose("serve", ["--allow-host", "a", "--allow-host", "b"]).allow_host == ["a", "b"]
    assert compose(
        "extract", ["images=i", "output=o", 'milvus_index="HNSW,M=16"']
    ).milvus_index == ("HNSW,M=16")


def test_a_positional_argument_stays() -> None:
    config = compose("scan", ["photos", "--against", "library", "--exit-code"])
    assert (config.photos, config.against, config.exit_code) == (
        [Path("photos")],
        [Path("library")],
        True,
    )
    assert compose("scan", ["photos=x=y"]).photos == [Path("x=y")]


def test_several_folders_are_words_and_a_comma_is_part_of_a_name() -> None:
    config = compose("scan", ["a", "b, c", "--against", "d", "e", "--exclude", "*.png,thumbs"])
    assert config.photos == [Path("a"), Path("b, c")]
    assert config.against == [Path("d"), Path("e")]
    assert config.exclude == ["*.png", "thumbs"]
    assert compose("scan", ["a", "--against", "d,e"]).against == [Path("d,e")]
    assert compose("scan", ["a", "--against", "[d,e]"]).against == [Path("d"), Path("e")]


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        ("extract", ["image=x"], "unknown key 'image'; did you mean images?"),
        ("extract", ["--image", "x"], "unknown key '--image'; did you mean --images?"),
        ("extract", ["images=x"], "output: needed"),
        ("extract", ["images=x", "output=y", "--size"], "--size: needs a value"),
        ("extract", ["images=x", "output=y", "size=big"], "size: expected a whole number"),
        ("extract", ["images=x", "output=y", "regions=x"], "expected one of none, coarse, fine"),
        ("extract", ["images=x", "output=y", "prune=nan"], "prune: expected a finite number"),
        ("extract", ["images=x", "output=y", "verify=true"], "use check_files="),
        ("extract", ["photos"], "photos: is no key of asl extract"),
        ("reproduce", ["benchmark=x"], "benchmark: expected one of ndec, "),
        ("reproduce", ["benchmark=sample", "verify=maybe"], "verify: expected one of true, false"),
        ("reproduce", ["benchmark=sample", "sizes=[a]"], "sizes: expected a whole number"),
        ("search", ["local=3"], "local: was renamed; use local_candidates="),
        ("scan", ["photos", "--details", "3"], "--details: was renamed; use --local-candidates"),
        ("doctor", ["a", "b"], "b: one word too many"),
        ("scan", [], "PHOTOS: needed"),
        ("serve", ["--port", "x"], "port: expected a whole number, got 'x'"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(
    verb: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        compose(verb, words)
    assert message in str(caught.value)
    assert start(verb, words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scan"], "PHOTOS: needed, e.g. `asl scan PHOTOS`"),
        (["leaks"], "SETS: needed, e.g. `asl leaks TRAIN TEST`"),
        (["explain"], "FIRST: needed, e.g. `asl explain photo.jpg suspect.jpg`"),
        (["explain", "a.jpg"], "SECOND: needed, e.g. `asl explain photo.jpg suspect.jpg`"),
        (["review"], "SCAN: needed, e.g. `asl review asl-scan`"),
        (["merge"], "LISTS: needed, e.g. `asl merge part1.csv part2.csv --output pairs.csv`"),
        (["merge", "a.csv"], "--output: needed, e.g. `asl merge part1.csv part2.csv --output"),
        (["doctor"], "PATH: needed, e.g. `asl doctor store`"),
        (["extract", "output=x"], "images: needed, e.g. `asl extract images="),
        (["search", "queries=x", "references=y"], "output: needed, e.g. `asl search queries="),
    ],
)
def test_what_is_missing_is_named_as_it_is_given(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(words[0], words[1:]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {message}")
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("verb", [verb for verb in VERBS.values() if verb.positional])
def test_a_verb_with_positional_words_has_an_example(verb: Verb) -> None:
    example = verb.example()
    assert example.startswith(f"asl {verb.name} ")
    assert "=" not in example
