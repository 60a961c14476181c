"""The dashboard asks for metrics and labels that the exporter has, and leaves none of them out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..support.live_support import need

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"
PSEUDO = {"le"}


def exported() -> dict[str, set[str]]:
    """Each sample that the exporter may have, and its labels."""
    need("prometheus_client")
    from prometheus_client import CollectorRegistry

    from streamproof.exporters.prometheus import Prometheus
    from streamproof.sansio.trace import Chunk, Outcome, Request, StreamEnd, Trace

    registry = CollectorRegistry()
    exporter = Prometheus(registry, open_streams=list, faults=lambda: {"log": 1})
    exporter(Trace(Request(), None, (Chunk(0.0, 1), Chunk(1.0, 1)), StreamEnd(1.0, Outcome.COMPLETE)))
    exporter.held("gzip", 1.0)
    found: dict[str, set[str]] = {}
    for family in registry.collect():
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def asked(dashboard: Any) -> list[str]:
    variables = [each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]] + variables


def test_every_metric_and_label_asked_for_is_exported_and_none_is_forgotten() -> None:
    dashboard, samples = json.loads(DASHBOARD.read_text()), exported()
    used: set[str] = set()
    for expression in asked(dashboard):
        for name, matchers in re.findall(r"(streamproof_\w+)(?:\{([^}]*)\})?", expression):
            assert name in samples, f"{name} is not exported: {expression}"
            used.add(name)
            labels = set(re.findall(r"(\w+)(?==~|!~|!=|=)", matchers))
            labels |= set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression))))
            assert labels <= samples[name] | PSEUDO, f"{name} has no {labels - samples[name]}: {expression}"
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples}
    assert families == {re.sub(r"_(bucket|sum|count)$", "", name) for name in used}


def test_panels_do_not_overlap_and_name_their_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
