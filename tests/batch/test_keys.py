"""Mappings with keys that are no texts, in the summary of a batch."""

from jne.batch.summary import flatten


def test_keys_of_any_kind_are_columns():
    found = flatten({"p": {1: "a", 2: {3: [4]}, 1.5: True, None: 0}})
    assert found == {"p.1": "a", "p.2.3": "[4]", "p.1.5": True, "p.None": 0}
