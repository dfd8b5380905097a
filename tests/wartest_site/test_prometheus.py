"""A real Prometheus reads a portal by the files that we give away: each expression is asked, rules are provoked."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.contrib.auth.models import User
from django.utils import timezone

from gates import engine, pulses
from gates.models import Alert, Beat, StreamLease
from tests.gates.alerts.pages.staged import staged
from tests.gates.chaos.pages.staged import staged_run
from tests.needs import lacks
from tests.wartest_site.test_observability import FOLDER, expressions
from wartest_site.embedded.children import free_port

TOKEN = "a token of the tests"
LIMIT_S = 60.0
# What shows nothing while all is well, or without what a running portal has. Everything else must show something.
MAY_BE_EMPTY = {
    'wartest_stream_connected{target=~".*"} == 0': "each stream is connected",
    "wartest_chaos_heal_late_seconds and wartest_chaos_heals_open > 0": "nothing is to be healed",
}


class Prometheus:
    """One that runs, asked by its own interface."""

    def __init__(self, port: int) -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10)

    def ask(self, path: str, **values: str) -> Any:
        answer = self.client.get(path, params=values)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise httpx.ConnectError("it begins")
        told = answer.json()
        assert told["status"] == "success", told
        return told["data"]

    def shows(self, expression: str) -> list[Any]:
        return list(self.ask("/query", query=expression)["result"])

    def rules(self) -> dict[str, dict[str, Any]]:
        return {rule["name"]: rule for group in self.ask("/rules")["groups"] for rule in group["rules"]}


def awaited(condition: Callable[[], Any], what: str) -> Any:
    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends:
        try:
            if found := condition():
                return found
        except httpx.TransportError:
            pass  # it begins
        time.sleep(0.1)
    raise AssertionError(f"not within {LIMIT_S:g} s: {what}")


def program(name: str) -> str:
    """The path of a program of the package prometheus; without it these tests say so."""
    return shutil.which(name) or lacks(f"No {name} here: install the package prometheus.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files as somebody would copy them, with the token beside them."""
    for name in ("prometheus.yml", "alerts.rules.yml"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "wartest-token").write_text(TOKEN + "\n")
    return tmp_path


def test_promtool_finds_nothing_to_say_about_the_files(folder: Path) -> None:
    for words in (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.rules.yml"]):
        argv = [program("promtool"), *words, "--lint-fatal"]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "SUCCESS" in done.stdout


@pytest.fixture
def portal(live_server: Any, settings: Any, valkey_server: Any) -> Iterator[dict[str, Alert]]:
    """A portal full of alerts, strikes and streams, whose parts all show their pulse."""
    secret = type(settings.ENVIRONMENT.redis_url)
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update={"redis_url": secret(valkey_server.url())})
    settings.METRICS_TOKEN = TOKEN
    rows = staged(User.objects.create_user("engineer"))
    staged_run()
    rows["missed"].run.rule_watches.create(rule="slow queries", state="clean", words="None.", looked_at=timezone.now())
    for kind in pulses.BEATING:
        engine.beat(kind, timezone.now() + timedelta(hours=1))
    return rows


@pytest.fixture
def prometheus(portal: dict[str, Alert], live_server: Any, folder: Path) -> Iterator[Prometheus]:
    """Prometheus on loopback with our files, but for the portal's port and a faster pace; it has read the portal."""
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "200ms"}
    config["scrape_configs"][0]["scrape_timeout"] = "500ms"
    address = live_server.url.removeprefix("http://")
    config["scrape_configs"][0]["static_configs"] = [{"targets": [address]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    argv = [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]
    process = subprocess.Popen([*argv, f"--web.listen-address=127.0.0.1:{port}"], cwd=folder)
    try:
        running = Prometheus(port)
        awaited(lambda: any(row["value"][1] == "1" for row in running.shows("up")), "it has read the portal")
        yield running
    finally:
        process.terminate()  # before the portal ends: it would go on to ask
        process.wait(LIMIT_S)


@pytest.mark.django_db(transaction=True)
def test_every_expression_of_the_rules_and_the_dashboard_is_answered_with_figures(prometheus: Prometheus) -> None:
    for expression in expressions()["dashboard"]:
        asked = expression.replace("$target", ".*")
        if asked.startswith("label_values("):
            asked, label = asked.removeprefix("label_values(").removesuffix(")").split(", ")
            assert all(label in row["metric"] for row in prometheus.shows(asked)), expression
        if asked in MAY_BE_EMPTY:
            prometheus.shows(asked)
        else:
            awaited(lambda asked=asked: prometheus.shows(asked), f"{asked} shows something: a rate takes two scrapes")
    loaded = awaited(
        lambda: (rules := prometheus.rules()) and all(rule["health"] == "ok" for rule in rules.values()) and rules,
        "each rule has been evaluated",
    )
    assert len(loaded) == len(expressions()["rules"])
    assert not [rule["lastError"] for rule in loaded.values() if rule.get("lastError")]


@pytest.mark.django_db(transaction=True)
def test_a_rule_fires_when_what_it_watches_for_happens_and_not_before(prometheus: Prometheus) -> None:
    def state(name: str) -> str:
        return str(prometheus.rules()[name]["state"])

    awaited(lambda: state("WartestCriticalAlert") == "firing", "an open critical alert is told")
    (told, *_) = prometheus.rules()["WartestCriticalAlert"]["alerts"]
    assert told["annotations"]["summary"].endswith("nobody has acknowledged it.")
    quiet = ("WartestDoesNotTick", "WartestPartStopped", "WartestStreamsNotHeld")
    awaited(lambda: all(state(name) == "inactive" for name in quiet), "nothing else is told, once all is read")
    Beat.objects.filter(kind="tick").update(last_at=timezone.now() - timedelta(minutes=2))
    StreamLease.objects.update(lease_until=timezone.now() - timedelta(minutes=2))
    awaited(lambda: state("WartestStreamsNotHeld") == "firing", "nobody holds the streams")
    awaited(lambda: state("WartestDoesNotTick") == "firing", "ticks have stopped for longer than the rule waits")
    engine.beat("tick", timezone.now())
    awaited(lambda: state("WartestDoesNotTick") == "inactive", "ticks come again")
    assert state("WartestPartStopped") == "inactive"
