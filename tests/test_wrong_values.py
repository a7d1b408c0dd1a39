"""Every key of every verb with wrong values: one line, exit code 2, never a traceback.

The command lines name inputs that are not there: a value that is refused is refused before they are
looked for, and nothing is ever embedded, trained or served.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

import pytest

from asl.cli import compose, start
from asl.console.exit_codes import exit_code
from asl.console.schema_groups import Key, keys_of
from asl.console.train_words import schema_keys
from asl.console.verbs import VERBS
from asl.errors import UsageError

BASES = {
    "scan": ["photos=nowhere"],
    "leaks": ["sets=nowhere,elsewhere"],
    "explain": ["first=nowhere", "second=elsewhere"],
    "serve": ["port=0", "library=library"],
    "extract": ["images=nowhere", "output=out"],
    "search": ["queries=nowhere", "references=nowhere", "output=pairs.csv"],
    "merge": ["lists=nowhere", "lists=elsewhere", "output=pairs.csv"],
    "evaluate": ["queries=nowhere", "references=nowhere", "truth=truth.csv", "output=out"],
    "reproduce": ["benchmark=folder", "root=nowhere"],
    "edit": ["images=empty", "output=out"],
    "export": ["model=nowhere", "output=model.pt2"],
    "doctor": ["path=nowhere"],
}
# Numbers of the right type that no verb can work with; `key=value` beside the base of the verb.
OUT_OF_RANGE = {
    "scan": [
        *("precision=-1", "precision=0", "precision=1", "precision=1e30", "gallery=-1"),
        *("neighbours=-1", "neighbours=0", "local_candidates=-1", "effort=-1", "effort=0"),
        *("max_failure_rate=-1", "max_failure_rate=1.1", "max_megapixels=-1", "max_megapixels=0"),
        *("max_megapixels=1e30", "cache=", "workers=-1", "device=nonsense"),
    ],
    "leaks": [
        *("precision=-1", "precision=0", "precision=1", "precision=1e30", "report=-1"),
        *("neighbours=-1", "neighbours=0", "local_candidates=-1", "effort=-1", "effort=0"),
        *("max_failure_rate=-1", "max_failure_rate=1.1", "max_megapixels=-1", "max_megapixels=0"),
        *("max_megapixels=1e30", "cache=", "sets=nowhere"),
        "path_column=image",
    ],
    "explain": [
        *("precision=-1", "precision=0", "precision=1", "max_megapixels=-1", "max_megapixels=0"),
        *("max_megapixels=1e30", "output=case.pdf", "output=empty"),
    ],
    "serve": [
        *("port=-1", "port=65536", "port=1000000000000000000000", "max_megabytes=-1"),
        *("max_megabytes=0", "max_megapixels=-1", "max_megapixels=0", "max_uploads=-1"),
        *("max_uploads=0", "workers=-1", "workers=0"),
    ],
    "extract": [
        *("max_failure_rate=-1", "max_failure_rate=1.1", "shard_size=-1", "shard_size=0"),
        *("prune=-1", "prune=1.1", "size=-1", "size=0", "merge=-1", "merge=0", "batch_size=-1"),
        *("batch_size=0", "workers=-1", "milvus_index=nonsense", "images=nonsense", "output="),
    ],
    "search": [
        *("k=-1", "k=0", "most=-1", "most=0", "precision=-1", "precision=0", "precision=1.1"),
        *("clip=-1", "clip=[1]", "clip=[1,2,3]", "lam=-1", "local_candidates=-1", "pairs=-1"),
        *("seconds=-1", "sn_weight=-1", "sn_first=-1", "sn_last=-1", "whiten=-1", "whiten=4"),
        *("negatives=-1", "negatives=0.3", "nprobe=-1", "nprobe=0", "recall_queries=-1"),
        *("memory=-1", "memory=0", "batch_size=-1", "batch_size=0", "workers=-1"),
        *("output=pairs.txt", "output=", "memory=1e-9", "factory=nonsense", "background=nonsense"),
    ],
    "merge": ["k=-1", "k=0", "most=-1", "most=0", "output=pairs.txt", "lists=nowhere"],
    "evaluate": [
        *("k=-1", "k=0", "most=-1", "most=0", "precision=-1", "precision=0", "precision=1.1"),
        *("bootstrap=1", "lam=-1", "output="),
        *("bootstrap=-1", "whiten=-1", "negatives=-1", "negatives=0.3", "whiten=4", "workers=-1"),
        *("sn_weight=-1", "sn_first=-1", "sn_last=-1", "groups=nonsense", "truth=nonsense"),
        *("query_images=nonsense", "reference_images=nonsense", "background=nonsense"),
        *("layout=nonsense", "predictions=nonsense", "compare=nonsense", "benchmark=nonsense"),
    ],
    "reproduce": [
        *("k=-1", "k=0", "most=-1", "most=0", "candidates=-1", "candidates=0", "lam=-1"),
        *("local_candidates=-1", "background=-1", "bootstrap=-1", "whiten=-1", "negatives=-1"),
        *("sn_weight=-1", "sn_first=-1", "sn_last=-1", "batch_size=-1", "batch_size=0"),
        *("workers=-1", "sizes=[]", "sizes=0", "sizes=[64,-1]", "output="),
    ],
    "edit": [
        *("views=-1", "views=0", "size=-1", "size=0", "size=15", "quality=-1", "quality=101"),
        *("images=nonsense", "size=200000", "output=", "output=empty/views"),
    ],
    "export": ["model=nonsense", "tolerance=-1", "output="],
    "doctor": ["path=nonsense"],
}
KEYS = [(verb, key) for verb in BASES for key in keys_of(VERBS[verb].schema).values()]


def leaves(key: Key) -> set[object]:
    return {leaf for member in key.members for leaf in (member, *get_args(member))}


def wrong_types(key: Key) -> Iterator[str]:
    """Yield texts that are no value of the key, by its type hint alone."""
    kinds = leaves(key)
    if key.choices:
        yield from ("nonsense", "1.5", "")
        if not key.is_flag:
            yield f"{key.choices[0]},{key.choices[0]}"
            yield key.choices[0].upper()
    elif int in kinds:
        yield from ("x", "nan", "1e3", "1,5x", "--", "0x", "½")
    elif float in kinds:
        yield from ("x", "1.5.2", "1,5x", "--", "½")
        if not key.is_list:
            yield from ("nan", "inf", "-inf")
    if {int, float, bool} & kinds and not key.optional:
        yield "null"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run where nothing is but an empty folder and an empty ground truth."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "truth.csv").write_text("query_id,reference_id\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASL_TOKEN", raising=False)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return tmp_path


def words_of(verb: str, word: str) -> list[str]:
    name = word.partition("=")[0]
    base = [given for given in BASES[verb] if given.partition("=")[0] != name]
    if name in ("predictions", "compare", "benchmark") and verb == "evaluate":
        base.append("queries=nowhere")  # two inputs, of which one is wanted
    return [*base, word]


def refused(verb: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Assert one line that names the key, and exit code 2."""
    name = word.partition("=")[0]
    assert start(verb, words_of(verb, word)) == 2
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("error: ")
    assert name in lines[0].replace("-", "_"), lines[0]
    assert len(lines[0]) < 1000


@pytest.mark.parametrize(("verb", "key"), KEYS, ids=lambda value: getattr(value, "name", value))
def test_a_value_of_another_type_is_refused(
    verb: str, key: Key, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in wrong_types(key):
        word = f"{key.name}={value}"
        # Only read: a value that is accepted by mistake must not start the verb.
        assert exit_code(lambda word=word: compose(verb, words_of(verb, word))) == 2, word
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(f"error: {key.name}: expected "), lines[0]
    assert {path.name for path in folder.iterdir()} == {"empty", "truth.csv"}


@pytest.mark.parametrize(
    ("verb", "word"), [(verb, word) for verb in OUT_OF_RANGE for word in OUT_OF_RANGE[verb]]
)
def test_a_number_out_of_range_is_refused_before_any_work(
    verb: str, word: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(verb, word, capsys)
    assert {path.name for path in folder.iterdir()} == {"empty", "truth.csv"}


@pytest.mark.parametrize("verb", BASES)
def test_a_key_that_no_verb_has_is_refused(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("nonsense=1", "--nonsense=1", "Output=x", "output.x=1", "=1", "--"):
        assert start(verb, [*BASES[verb], word]) == 2, word
        assert len(capsys.readouterr().err.splitlines()) == 1


def train_values(key: Key) -> list[str]:
    kinds = leaves(key)
    if get_origin(key.hint) is list:
        return ["x"] if int in kinds else []
    if key.is_flag:
        return ["maybe", "2.5"]
    if int in kinds:
        return ["x", "nan"]
    return ["x"] if float in kinds else []


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, key in schema_keys().items() for value in train_values(key)],
)
def test_a_training_refuses_a_value_of_another_type(name: str, value: str) -> None:
    with pytest.raises(UsageError) as caught:
        compose("train", [f"{name}={value}"])
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert value in line
    assert name in line
