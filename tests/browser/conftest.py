"""A real browser on a real server with a portal full of rows. WARTEST_SCREENSHOTS=folder keeps its pictures."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from gates.models import Alert, Beat, Campaign, Finding, Report, Run, RunEvent, Slot, SlotResult, Target
from gates.plans import plan_for
from tests.needs import lacks

PASSWORD = "a long enough password"
CADENCES_S = {"health": 60, "integrity": 3600, "positions": 600, "stops": 600}


@dataclass(frozen=True, slots=True)
class Portal:
    """Where the portal is and the runs in it."""

    url: str
    going: Run
    failed: Run


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's own browser, else the one that Playwright downloaded; without either there are no tests of pages.

    Playwright keeps an event loop in this thread: not longer than a module, and Django must be told that it may.
    """
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        if not found and not Path(playwright.chromium.executable_path).exists():
            lacks("No Chromium here: install the package chromium, or run playwright install chromium.")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def portal(settings: Any, live_server: Any) -> Portal:
    """A rehearsal that is going on and a 72-hour run that failed."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    now = datetime.now(UTC).replace(microsecond=0)
    user = User.objects.create_user("engineer", password=PASSWORD)
    target = Target.objects.create(name="rehearsal-desk", spec={}, created_at=now)
    Beat.objects.create(kind="tick", last_at=now)
    failed = _run(target, user, ("production", now - timedelta(days=4), timedelta(hours=72)), now)
    _spoil(failed)
    going = _run(target, user, ("rehearsal", now - timedelta(seconds=190), timedelta(minutes=5)), now)
    return Portal(live_server.url, going, failed)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, portal: Portal) -> Page:
    """A signed-in page that remembers what the browser complained of in `page.complaints`."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.complaints = complaints  # type: ignore[attr-defined]
    page.goto(portal.url)
    shot(page, "sign-in")
    page.get_by_label("Username").fill("engineer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{portal.url}/")
    return page


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("WARTEST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def _run(target: Target, user: User, shape: tuple[str, datetime, timedelta], now: datetime) -> Run:
    profile, start, length = shape
    campaign = Campaign.objects.create(
        target=target, profile=profile, build="sha256:5f1c0d2e9a7b", started_by=user, started_at=start
    )
    run = Run.objects.create(
        campaign=campaign,
        gate=1,
        plan=asdict(plan_for("rehearsal")),
        planned_start=start,
        planned_end=start + length,
        criteria=[
            _criterion("critical errors", "0", "0", "passed", ""),
            _criterion("stops executed", "100 %, at least 20 touches", "31 of 31", "passed", ""),
            _criterion("ledger balance", "difference 0.0000", "0.0000", "passed", ""),
            _criterion("reconciliation", "0 mismatches", "0", "inconclusive", "The last slots are not judged yet."),
        ],
    )
    RunEvent.objects.create(run=run, at=start, kind="started", sentence=f"Run of {target} started.")
    shrink = 1 if profile == "production" else 12
    slots = []
    for check, cadence_s in CADENCES_S.items():
        every = timedelta(seconds=cadence_s / shrink if cadence_s < 3600 else cadence_s / shrink / 10)
        for n in range(int(length / every)):
            opens, closes = start + n * every, start + (n + 1) * every
            done = closes <= now
            slots.append(
                Slot(
                    run=run,
                    check_name=check,
                    window_start=opens,
                    window_end=closes,
                    due_at=closes,
                    grace_until=closes + every,
                    state="done" if done else "due",
                    verdict="passed" if done else None,
                )
            )
    made = Slot.objects.bulk_create(slots)
    SlotResult.objects.bulk_create(
        SlotResult(
            slot=slot,
            attempt=1,
            verdict="passed",
            measured=_measured(slot.check_name, n),
            started_at=slot.due_at,
            finished_at=slot.due_at + timedelta(milliseconds=18),
        )
        for n, slot in enumerate(made)
        if slot.verdict
    )
    return run


def _measured(check: str, n: int) -> dict[str, Any]:
    if check == "health":
        return {"status": "ok", "pid": 4242, "cpu_s": n * 0.4 + n % 7 * 0.1, "memory_mib": 61.5 + n % 9, "threads": 6}
    balance = f"{100000 + n % 40 * 3 - n % 11}.1234"
    return {"broker_balance": balance, "ledger_balance": balance, "last_transaction_id": str(1000 + n)}


def _criterion(name: str, required: str, measured: str, verdict: str, reason: str) -> dict[str, str]:
    return {"name": name, "required": required, "measured": measured, "verdict": verdict, "reason": reason}


def _spoil(run: Run) -> None:
    """Let the run end badly: holes, failures, findings, the target away for a while, an alert."""
    health = run.slots.filter(check_name="health").order_by("due_at")
    bad = list(health[1500:1512])
    Slot.objects.bulk_update(
        [*(_judge(slot, "failed") for slot in bad[:6]), *(_judge(slot, "inconclusive") for slot in bad[6:])],
        ["verdict"],
    )
    at = bad[0].due_at
    for n, slot in enumerate(bad[:6]):
        Finding.objects.create(
            run=run,
            slot=slot,
            rule="target does not answer" if n % 2 else "balance chain",
            level="critical",
            sentence="The target does not answer at its health address (ConnectError)."
            if n % 2
            else "Balance event 118 of account 101-001 does not start where event 117 ended.",
            expected="an answer" if n % 2 else "100012.4400",
            measured="none" if n % 2 else f"100012.{43 - n:02d}00",
            difference="" if n % 2 else f"-0.{n + 1:02d}00",
            where={"account_id": "101-001-0000001-001", "event_id": "118"},
            found_at=slot.due_at,
        )
    for kind, after_s, sentence in (
        ("target died", 0, "The target's process 4242 is gone."),
        ("target back", 7200, "The target answers again, as process 4310."),
        ("closed", 9000, "The run is closed: failed."),
    ):
        level = "critical" if kind == "target died" else ""
        RunEvent.objects.create(run=run, at=at + timedelta(seconds=after_s), kind=kind, level=level, sentence=sentence)
    Alert.objects.create(
        target=run.campaign.target,
        run=run,
        rule="system crash",
        level="critical",
        sentence="The target's process 4242 is gone.",
        count=6,
        event_at=at,
        raised_at=at,
        last_at=at,
        deadline_at=at,
    )
    Alert.objects.create(
        target=run.campaign.target,
        run=run,
        rule="resource use > 80 %",
        level="medium",
        sentence="CPU (93 %) > 80 % for 10 minutes.",
        event_at=datetime.now(UTC),
        raised_at=datetime.now(UTC),
        last_at=datetime.now(UTC),
        deadline_at=datetime.now(UTC) + timedelta(hours=4),
    )
    Run.objects.filter(pk=run.pk).update(state="closed", verdict="failed", closed_at=run.planned_end, cursor=9)
    content = {
        "schema": "wartest.report/1",
        "verdict": "failed",
        "profile": "production",
        "target": {"name": "rehearsal-desk", "build": run.campaign.build, "environment": "practice"},
        "planned": {"start": run.planned_start.isoformat(), "end": run.planned_end.isoformat()},
        "measured": {"start": run.planned_start.isoformat(), "end": run.planned_end.isoformat()},
        "criteria": run.criteria,
        "slots": {"planned": 9144, "passed": 9132, "failed": 6, "inconclusive": 6},
        "findings": [
            {
                "check": "balance chain",
                "level": "critical",
                "count": 3,
                "expected": "100012.4400",
                "measured": "100012.4300",
                "difference": "-0.0100",
            }
        ],
        "alerts": [{"level": "critical", "sentence": "The target's process 4242 is gone."}],
        "interventions": [],
    }
    Report.objects.create(
        run=run,
        campaign=run.campaign,
        kind="72-hour-test",
        verdict="failed",
        content=content,
        sha256="9b" * 32,
        file_name="72-hour-test-20261122T111531Z.json",
        created_at=run.planned_end,
    )


def _judge(slot: Slot, verdict: str) -> Slot:
    slot.verdict = verdict
    return slot
