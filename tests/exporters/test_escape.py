"""Labels stay few."""

from __future__ import annotations

from streamproof.exporters.escape import LabelLimit


def test_labels_stay_few() -> None:
    few = LabelLimit(2)
    assert [few(label) for label in ("/a", "/b", "/c", None, "/a", "/d")] == [
        "/a",
        "/b",
        "(other)",
        "(unknown)",
        "/a",
        "(other)",
    ]
