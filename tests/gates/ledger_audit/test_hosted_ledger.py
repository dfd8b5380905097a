"""A target with a hosted ledger is described by `supabase` and `key`, and read by every gate (from a stand-in)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audits.verdicts import Verdict
from gates.checks import integrity
from gates.checks.integrity import Base, judge_integrity
from gates.models import Run, Target
from gates.targets.access import TargetUnreachableError, access
from tests.audits.books import ACCOUNT, NOON, clean_books
from tests.audits.sources.postgrest import Standin, standin
from tests.gates.ledger_audit.auditable import answer, answering, started, work
from wartest_site.preflight import Need, needs
from wartest_site.stack import Services

HOSTED = {"supabase": "env:HOSTED_URL", "key": "env:HOSTED_KEY", "schema": "wartest"}


@pytest.fixture
def hosted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Target, Standin]]:
    books = clean_books()
    with standin(books) as ledger, answering(lambda path, query: answer(books, path, query)) as broker:
        monkeypatch.setenv("HOSTED_URL", ledger.url)
        monkeypatch.setenv("HOSTED_KEY", "good key")
        spec = {
            "ledger": HOSTED,
            "broker": {"kind": "oanda", "url": broker.url, "account": ACCOUNT, "token": "a-token"},
            "process": {"kind": "command", "health": f"{broker.url}/health"},
        }
        yield Target(name="hosted", spec=spec, created_at=NOON), ledger


def of_target(home: Path) -> Need:
    """What preflight says of the only target."""
    (need,) = (
        need for need in needs(home, port=0, services=Services(0, 0.0, "", {})) if need.name.startswith("target")
    )
    return need


@pytest.mark.django_db
@pytest.mark.usefixtures("home", "one_connection")
def test_gate_3_passes_on_a_hosted_ledger_and_keeps_its_key_to_itself(hosted: tuple[Target, Standin]) -> None:
    target, ledger = hosted
    target.save()
    run = work(started(type("Desk", (), {"target": target})()))
    assert run.verdict == Verdict.PASSED
    kept = Run.objects.get(pk=run.pk).audit.snapshot
    assert ledger.url in str(kept)
    assert "good key" not in str(kept)


def test_an_integrity_slot_reads_a_hosted_ledger_and_goes_on_from_what_it_judged(
    hosted: tuple[Target, Standin], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "SMALL_ROWS", 0)
    reach = access(hosted[0].spec)
    whole = judge_integrity(reach, None)
    assert (whole.verdict, whole.measured["read"]) == (Verdict.PASSED, "whole"), whole.reason
    later = judge_integrity(reach, Base.of(whole.measured))
    assert later.verdict == Verdict.PASSED, later.reason
    assert later.measured["read"] != "whole"


def test_a_hosted_ledger_that_lost_an_event_is_no_pass(hosted: tuple[Target, Standin]) -> None:
    target, ledger = hosted
    ledger.books.rows("balance_events").pop()
    assert judge_integrity(access(target.spec), None).verdict != Verdict.PASSED


@pytest.mark.django_db
@pytest.mark.usefixtures("home")
def test_preflight_opens_a_hosted_ledger_with_its_key(
    hosted: tuple[Target, Standin], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted[0].save()
    need = of_target(tmp_path)
    assert need.met, need.words
    assert "1 accounts" in need.words
    monkeypatch.setenv("HOSTED_KEY", "another key")
    need = of_target(tmp_path)
    assert not need.met
    assert "another key" not in need.words


def test_an_address_and_a_hosted_one_cannot_both_be_the_ledger() -> None:
    with pytest.raises(TargetUnreachableError, match="keep one of them"):
        access({"ledger": HOSTED | {"url": "postgresql://here/ledger"}})


def test_a_hosted_ledger_without_a_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTED_URL", "https://project.example")
    monkeypatch.delenv("HOSTED_KEY", raising=False)
    with pytest.raises(TargetUnreachableError, match=r"\[ledger\] key names HOSTED_KEY, which is not set"):
        access({"ledger": HOSTED})
    with pytest.raises(TargetUnreachableError, match=r"lacks \[ledger\] key"):
        access({"ledger": {"supabase": "https://project.example"}})
    with pytest.raises(TargetUnreachableError, match="must be the https:// address"):
        access({"ledger": {"supabase": "project.example", "key": "k"}})
