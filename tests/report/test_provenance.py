from __future__ import annotations

import json

from asl import __version__
from asl.report.provenance import provenance


def test_a_result_says_where_it_comes_from() -> None:
    facts = provenance({"k": 3}, command="asl search k=3", seed=7)
    assert (facts["command"], facts["seed"]) == ("asl search k=3", 7)
    assert facts["versions"]["asl"] == __version__
    assert {"python", "numpy", "torch"} <= set(facts["versions"])
    assert facts["created"].endswith("+00:00")
    assert json.loads(json.dumps(facts)) == facts


def test_the_configuration_is_known_by_its_values_and_not_their_order() -> None:
    one, same, other = (
        provenance(config, command="asl train")["config_hash"]
        for config in ({"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": 1, "b": [3]})
    )
    assert one == same != other
    assert "seed" not in provenance({}, command="asl train")
