"""What a report says, read from the rows: the fields that every report has, of one run or of a whole campaign."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, overload

from django.db.models import Count, Max, QuerySet

from audits.findings import Finding as PureFinding
from audits.findings import Level, grouped
from audits.verdicts import Verdict
from gates import queries
from gates.criteria import Criterion, verdict_of
from gates.ledger_audit.standing import campaign_verdict
from gates.models import Alert, Campaign, Finding, Incident, Report, Review, Run, RunEvent
from gates.models.campaigns import GATES

SCHEMA = "wartest.report/1"
FINDINGS_LIMIT = 10_000  # among so many the worst is looked for; all are counted
SLOTS = ("planned", "passed", "failed", "inconclusive", "holes")


def run_fields(run: Run) -> dict[str, Any]:
    """Return the fields of a run's report, without kind and seal."""
    duration_s = (run.closed_at - run.planned_start).total_seconds() if run.closed_at else None
    counts = queries.slot_counts(run)
    return {
        **_head(run.campaign),
        "verdict": run.verdict,
        "run": run.pk,
        **_environment(run),
        "planned": {"start": utc(run.planned_start), "end": utc(run.planned_end)},
        "measured": {"start": utc(run.planned_start), "end": utc(run.closed_at), "duration_s": duration_s},
        "criteria": run.criteria,
        "findings": _findings(run.findings.all()),
        "slots": {key: counts[key] for key in SLOTS},
        "alerts": _alerts(run.alerts.all()),
        "interventions": _interventions(run.events.all()),
        **_reviews(run.reviews.all()),
    }


def campaign_fields(campaign: Campaign, now: datetime) -> dict[str, Any]:
    """Return the fields of the report on gates 1 to 3 of a campaign, without kind and seal.

    Each gate is a criterion, and that nothing stopped it; the reports of all runs are named by their hashes.
    """
    runs = list(campaign.runs.filter(gate__lt=4, state=Run.State.CLOSED).order_by("planned_start", "pk"))
    table = [*(_gate(number, name, runs) for number, name in GATES[:3]), *_stop(campaign)]
    ended = max((run.closed_at for run in runs if run.closed_at), default=now)
    counted = [queries.slot_counts(run) for run in runs]
    return {
        **_head(campaign),
        "verdict": verdict_of(table).value,
        "run": None,
        "planned": {
            "start": utc(campaign.started_at),
            "end": utc(max((run.planned_end for run in runs), default=ended)),
        },
        "measured": {
            "start": utc(campaign.started_at),
            "end": utc(ended),
            "duration_s": max(0.0, (ended - campaign.started_at).total_seconds()),
        },
        "criteria": [asdict(line) for line in table],
        "findings": _findings(Finding.objects.filter(run__in=runs)),
        "slots": {key: sum(counts[key] for counts in counted) for key in SLOTS},
        "alerts": _alerts(Alert.objects.filter(run__in=runs)),
        "interventions": _interventions(RunEvent.objects.filter(run__in=runs)),
        **_reviews(Review.objects.filter(run__in=runs)),
        **_before(campaign),
        "reports": [_named(report) for report in Report.objects.filter(run__in=runs).order_by("pk")],
    }


def _head(campaign: Campaign) -> dict[str, Any]:
    target = campaign.target
    rehearsal = target.spec.get("ledger", {}).get("url", "").startswith("rehearsal:")
    environment = "rehearsal" if rehearsal else "own"
    return {
        "schema": SCHEMA,
        "profile": campaign.profile,
        "target": {"name": target.name, "build": campaign.build, "environment": environment},
        "campaign": campaign.pk,
    }


def _environment(run: Run) -> dict[str, Any]:
    """Say where the run was taken, as its start saw it: runs from before that was seen have nothing to say."""
    seen = run.baseline.get("environment")
    return {"environment": seen} if seen else {}


def _gate(number: int, name: str, runs: list[Run]) -> Criterion:
    """Judge one gate by its runs: a failure stays, else the latest decides.

    Without a run nothing is proven, nor by one that does not count.
    """
    mine = [run for run in runs if run.gate == number]
    if not mine:
        reason = "It has not been run to its end in this campaign."
        return Criterion(f"gate {number}: {name}", "passed", "not run", Verdict.INCONCLUSIVE, reason)
    decides = next((run for run in mine if run.verdict == Verdict.FAILED), mine[-1])
    verdict = campaign_verdict(decides)
    why = (line["reason"] for line in decides.criteria if line.get("verdict") == verdict and line.get("reason"))
    reason = "" if verdict == Verdict.PASSED else next(why, "See the report of its run.")
    again = f", after {len(mine) - 1} before it" if len(mine) > 1 else ""
    return Criterion(f"gate {number}: {name}", "passed", f"{verdict} in run {decides.pk}{again}", verdict, reason)


def _stop(campaign: Campaign) -> Iterator[Criterion]:
    """A campaign that was stopped proves nothing as a whole, whatever its gates proved."""
    if campaign.state == Campaign.State.STOPPED:
        verdict = Verdict(campaign.verdict or Verdict.INCONCLUSIVE)
        yield Criterion("campaign", "one build, all gates, no stop", "stopped", verdict, campaign.stopped_reason)


def _named(report: Report) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "run": report.run_id,
        "verdict": report.verdict,
        "file": report.file_name,
        "sha256": report.sha256,
    }


def _alerts(alerts: QuerySet[Alert]) -> list[dict[str, Any]]:
    return [
        {
            "rule": alert.rule,
            "level": alert.level,
            "state": alert.state,
            "count": alert.count,
            "sentence": alert.sentence,
            "event_at": utc(alert.event_at),
            "raised_at": utc(alert.raised_at),
            "deadline_at": utc(alert.deadline_at),
        }
        for alert in alerts.order_by("raised_at", "pk")
    ]


def _interventions(events: QuerySet[RunEvent]) -> list[dict[str, Any]]:
    found = events.filter(kind=RunEvent.Kind.INTERVENTION).order_by("at", "pk")
    return [{"at": utc(event.at), "sentence": event.sentence} for event in found]


def _reviews(reviews: QuerySet[Review]) -> dict[str, Any]:
    """Name the reviews that were owed, where any was: those that nobody wrote have no words."""
    lines = [
        {
            "opens_at": utc(review.opens_at),
            "due_at": utc(review.due_at),
            "at": utc(review.done_at),
            "by": review.person.get_username() if review.person else None,
            "words": review.words,
        }
        for review in reviews.select_related("person").order_by("due_at", "pk")
    ]
    return {"reviews": lines} if lines else {}


def _before(campaign: Campaign) -> dict[str, Any]:
    """Name the campaign that this one follows, where it does."""
    before = campaign.previous
    if before is None:
        return {}
    incident = Incident.objects.filter(campaign=before).values_list("state", flat=True).first()
    return {
        "before": {
            "campaign": before.pk,
            "verdict": before.verdict,
            "stopped_reason": before.stopped_reason,
            "incident": incident,
            "repeat_reason": campaign.repeat_reason,
        }
    }


def _findings(findings: QuerySet[Finding]) -> list[dict[str, Any]]:
    """Group the first of them by rule, with the count and the last of all."""
    totals = {row["rule"]: row for row in findings.order_by().values("rule").annotate(n=Count("pk"), last=Max("pk"))}
    ends = findings.filter(pk__in=[row["last"] for row in totals.values()])
    last = dict(ends.values_list("rule", "sentence"))
    return [
        {
            "check": group.rule,
            "level": group.level,
            "count": totals[group.rule]["n"],
            "sentence": group.first.sentence,
            "expected": group.worst.expected,
            "measured": group.worst.measured,
            "difference": group.worst.difference,
            "where": group.worst.where,
            "first": group.first.sentence,
            "worst": group.worst.sentence,
            "last": last[group.rule],
        }
        for group in grouped(_pure(findings.order_by("found_at", "pk")[:FINDINGS_LIMIT]))
    ]


def _pure(rows: Iterable[Finding]) -> list[PureFinding]:
    return [
        PureFinding(row.rule, Level(row.level), row.sentence, row.expected, row.measured, row.difference, row.where)
        for row in rows
    ]


@overload
def utc(moment: datetime) -> str: ...
@overload
def utc(moment: None) -> None: ...
def utc(moment: datetime | None) -> str | None:
    """Return a moment as reports have it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
