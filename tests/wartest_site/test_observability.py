"""The examples for Prometheus and Grafana ask for nothing that `/metrics` does not tell."""

import json
import re
from pathlib import Path

import pytest
import yaml
from django.contrib.auth.models import User
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

FOLDER = Path(__file__).parents[2] / "wartest_site" / "observability"
OURS = re.compile(r"\bwartest_[a-z0-9_]+")


@pytest.fixture
def told(client: Client, db: None) -> set[str]:
    """The names that a scrape of an empty portal tells: a family stands there before it has a value."""
    client.force_login(User.objects.create_user("auditor"))
    families = text_string_to_metric_families(client.get("/metrics").content.decode())
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def expressions() -> dict[str, list[str]]:
    rules = yaml.safe_load((FOLDER / "alerts.rules.yml").read_text())
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    drawn = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    variables = [one["definition"] for one in board["templating"]["list"] if "definition" in one]
    return {"rules": asked, "dashboard": [*drawn, *variables]}


def test_every_figure_that_the_rules_and_the_dashboard_name_is_told(told: set[str]) -> None:
    for name, asked in expressions().items():
        named = {figure for expression in asked for figure in OURS.findall(expression)}
        assert len(named) > 10, name
        assert named <= told, f"{name}: {sorted(named - told)}"


def test_every_figure_that_is_told_is_drawn(told: set[str]) -> None:
    drawn = {figure for expression in expressions()["dashboard"] for figure in OURS.findall(expression)}
    assert {name for name in told if name.startswith("wartest_")} <= drawn


def test_the_dashboard_can_be_imported_anywhere() -> None:
    """Its source of data is chosen at the import, its panels are apart and do not overlap."""
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert "id" not in board, "an id of another Grafana would be refused"


def test_every_rule_says_what_is_wrong() -> None:
    rules = yaml.safe_load((FOLDER / "alerts.rules.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "high", "medium"}, rule["alert"]
