"""Schemas of all verbs: every key explained, one name and one default, no heavy import."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING
from typing import get_args

import pytest

from asl.console.key_names import RENAMED
from asl.console.schema_groups import keys_of
from asl.console.schemas.shared_keys import Regions
from asl.console.train_words import schema_keys
from asl.console.verbs import VERBS
from asl.features.regions import REGIONS


def test_the_commands_know_every_set_of_regions() -> None:
    assert get_args(Regions) == tuple(REGIONS)


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"train"}))
def test_every_key_has_an_explanation(verb: str) -> None:
    for name, key in keys_of(VERBS[verb].schema).items():
        assert key.explanation.endswith((".", ")")), f"{verb}: {name}"


def test_one_key_has_one_default_in_every_verb() -> None:
    schemas = ("extract", "search", "evaluate", "reproduce")
    shared = ("lam", "tau", "k", "normalize", "sn_weight", "sn_first", "sn_last", "whiten")
    shared += ("local_candidates", "model", "id_style", "regions", "device", "batch_size", "most")
    for name in shared:
        keys = [keys_of(VERBS[verb].schema).get(name) for verb in (*schemas, "scan")]
        defaults = {repr(key.default) for key in keys if key}
        assert len(defaults) == 1, f"{name}: {defaults}"


def test_every_key_of_a_training_has_an_explanation() -> None:
    for name, key in schema_keys().items():
        assert key.explanation, name


def test_a_key_that_several_verbs_have_has_one_default_and_one_type() -> None:
    """Those that differ do so on purpose; each is here with its reason."""
    on_purpose = {
        "output",  # a file or a folder, needed or with a place of its own
        "regions",  # the service searches crops by default
        "background",  # reproduce counts its images, the others name them
        "score",  # each verb adds one of its own: verified, all
        "precision",  # of a report, of a search, of matches to show
        "queries",  # evaluate takes one of four inputs
        "references",
        "k",  # null is a number of its own in a search
        "benchmark",  # a folder, or one of the known names
        "format",  # of a table, of a model
        "max_megapixels",  # uploads of strangers are smaller than one's own photographs
        "compare",  # files of predictions, or which pairs of a scan
        "model",  # the service goes on with the one that made its library
        "workers",  # processes, but in the service threads that search
    }
    by_name: dict[str, dict[str, list[str]]] = {}
    for verb in sorted(set(VERBS) - {"train"}):
        for name, key in keys_of(VERBS[verb].schema).items():
            default = "required" if key.default is MISSING else repr(key.default)
            by_name.setdefault(name, {}).setdefault(f"{default}: {key.hint}", []).append(verb)
    differ = {name: kinds for name, kinds in by_name.items() if len(kinds) > 1}
    assert set(differ) <= on_purpose, {name: differ[name] for name in set(differ) - on_purpose}
    assert on_purpose <= set(differ), "a reason that is no longer needed"


def test_no_old_name_is_a_key_of_any_verb_that_renamed_it() -> None:
    for verb, names in RENAMED.items():
        keys = schema_keys() if verb == "train" else keys_of(VERBS[verb].schema)
        assert not set(names) & set(keys)


@pytest.mark.parametrize("verb", VERBS)
def test_a_schema_is_imported_without_any_library(verb: str) -> None:
    code = (
        f"import sys, asl.console.schemas.{verb}_config; "
        "print(sorted({'torch', 'numpy', 'hydra', 'omegaconf', 'cyclopts', 'rich', 'cv2'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
