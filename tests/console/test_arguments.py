"""Command lines of the verbs that people use: every spelling, text as typed, one-line errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl.console.entry import compose, start
from asl.console.key_names import RENAMED
from asl.console.schema_groups import keys_of
from asl.console.verbs import VERBS
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


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert compose("export", ["output=~/x.onnx"]).output == "/home/somebody/x.onnx"
    assert compose("train", ["output=~/x"]).output == "/home/somebody/x"


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
        Path("photos"),
        Path("library"),
        True,
    )
    assert compose("scan", ["photos=x=y"]).photos == Path("x=y")


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
        ("scan", ["a", "b"], "b: one word too many"),
        ("scan", [], "photos: needed"),
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


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"train"}))
def test_every_key_has_an_explanation(verb: str) -> None:
    for name, key in keys_of(VERBS[verb].schema).items():
        assert key.explanation.endswith((".", ")")), f"{verb}: {name}"


@pytest.mark.parametrize("verb", sorted(set(RENAMED) - {"train"}))
def test_an_old_key_names_one_that_exists(verb: str) -> None:
    keys = keys_of(VERBS[verb].schema)
    for old, new in RENAMED[verb].items():
        assert old not in keys
        assert new in keys


def test_one_key_has_one_default_in_every_verb() -> None:
    schemas = ("extract", "search", "evaluate", "reproduce")
    shared = ("lam", "tau", "k", "normalize", "sn_weight", "sn_first", "sn_last", "whiten")
    shared += ("local_candidates", "model", "id_style", "regions", "device", "batch_size", "most")
    for name in shared:
        keys = [keys_of(VERBS[verb].schema).get(name) for verb in (*schemas, "scan")]
        defaults = {repr(key.default) for key in keys if key}
        assert len(defaults) == 1, f"{name}: {defaults}"
