"""What the pages of campaigns show: the rail, the criteria of each gate, everything that happened, and comparisons."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from django.db.models import Count, Max, Prefetch, Q, QuerySet
from django.urls import reverse

from gates import commands
from gates.campaigns.progress import how_far
from gates.campaigns.reporting import report_of
from gates.incidents.commands import failed_points, proven
from gates.models import Campaign, Finding, Incident, Report, Review, Run, RunEvent, Slot
from gates.models.incidents import IncidentChange
from gates.pages import rows
from gates.signoff.page import summary

MOST_HAPPENED = 300
MOST_RULES = 50
SAYS = {
    "running": "its gates go on",
    "ready": "gates 1 to 3 passed: it waits for its signatures",
    "approved": "signed: gate 4 may open",
    "live": "gate 4 watches it with real money",
    "ended": "all four gates passed",
    "stopped": "stopped",
}
WORDS = {"approve": "approved", "refuse": "refused", "withdraw": "withdrew the decision"}
DECIDED = ("ready", "approved", "live", "ended")
STATUS = {"running": "running", "ready": "passed", "approved": "passed", "live": "running", "ended": "passed"}


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of a campaign's timeline: when, what kind of thing, in a sentence, and where more of it is."""

    at: datetime
    kind: str
    sentence: str
    url: str = ""
    level: str = ""


def status_of(campaign: Campaign) -> str:
    """Return the status that a page shows: that of its state, or its verdict once it is stopped."""
    return STATUS.get(campaign.state) or campaign.verdict or "inconclusive"


def says(campaign: Campaign) -> str:
    """Say in words where the campaign is, with the reason where it was stopped."""
    return campaign.stopped_reason or SAYS[campaign.state]


def listed() -> QuerySet[Campaign]:
    """Return all campaigns that began at gate 1, newest first, with what a list shows of them."""
    began = Campaign.objects.filter(runs__gate=1).distinct()
    counted = began.annotate(
        n_findings=Count("runs__findings", distinct=True),
        n_hands=Count("runs__events", filter=Q(runs__events__kind=RunEvent.Kind.INTERVENTION), distinct=True),
    )
    gates = Prefetch("runs", queryset=Run.objects.order_by("gate", "planned_start"))
    related = counted.select_related("target", "incident", "previous", "started_by").prefetch_related(gates)
    return related.order_by("-started_at", "-pk")


def campaign_context(campaign: Campaign, now: datetime) -> dict[str, Any]:
    """Return everything that the campaign's page shows, whole or its live part."""
    gates = [_gate(run) for run in campaign.runs.order_by("gate", "planned_start")]
    words, part = how_far(campaign, now)
    return {
        "now": now,
        "campaign": campaign,
        "cursor": cursor(campaign),
        "status": status_of(campaign),
        "says": says(campaign),
        "words": words,
        "part": part,
        "going": campaign.state == Campaign.State.RUNNING,
        "rail": rows.gate_rail(campaign),
        "gates": gates,
        "happened": happened(campaign),
        "most": MOST_HAPPENED,
        "incident": Incident.objects.filter(campaign=campaign).first(),
        "report": report_of(campaign.pk),
        "following": list(campaign.next.order_by("pk")[:20]),
        "alone": not any(run.gate == 1 for run in campaign.runs.all()),
        "reviews": review_lines(campaign, now),
        "signoff": summary(campaign) if campaign.signable and campaign.state in DECIDED else None,
    }


def cursor(campaign: Campaign) -> str:
    """Return a text that changes whenever the campaign's page would."""
    moved = campaign.runs.aggregate(n=Count("pk"), cursors=Max("cursor"), last=Max("pk"))
    written = Report.objects.filter(campaign=campaign).count()
    changes = IncidentChange.objects.filter(pgh_obj__campaign=campaign).count()
    reviews = Review.objects.filter(run__campaign=campaign, done_at__isnull=False).count()
    decided = campaign.sign_offs.count() + campaign.code_reviews.count()
    plans = campaign.capital_plans.aggregate(n=Count("pk"), decided=Count("decided_at"))
    people = f"{reviews}-{decided}-{plans['n']}-{plans['decided']}"
    return f"{campaign.state}-{moved['n']}-{moved['last']}-{moved['cursors']}-{written}-{changes}-{people}"


def _gate(run: Run) -> dict[str, Any]:
    criteria = [asdict(line) for line in commands.criteria_of(run)] if run.is_open else run.criteria
    if run.is_open:
        waits = {"verdict": "running", "reason": ""}
        criteria = [line | waits if line["verdict"] == "inconclusive" else line for line in criteria]
    return {"run": run, "status": rows.status_of(run), "criteria": criteria}


def review_lines(campaign: Campaign, now: datetime) -> dict[str, int]:
    """Count the reviews that people owe this campaign's runs: owed so far, written, missed."""
    reviews = Review.objects.filter(run__campaign=campaign)
    return reviews.aggregate(
        planned=Count("pk"),
        written=Count("pk", filter=Q(done_at__isnull=False)),
        missed=Count("pk", filter=Q(done_at=None, due_at__lt=now)),
    )


def happened(campaign: Campaign) -> list[Happened]:
    """Return everything that happened to the campaign, newest first, the last `MOST_HAPPENED` of it."""
    everything = chain(_own(campaign), _of_runs(campaign), _written(campaign), _incident(campaign), _decided(campaign))
    return sorted(everything, key=lambda each: each.at, reverse=True)[:MOST_HAPPENED]


def _own(campaign: Campaign) -> Iterable[Happened]:
    by = f" by {campaign.started_by}" if campaign.started_by else ""
    after = f" after campaign {campaign.previous_id}" if campaign.previous_id else ""
    because = f", because: {campaign.repeat_reason}" if campaign.repeat_reason else ""
    yield Happened(campaign.started_at, "campaign", f"Campaign started{by}{after}{because}.")
    if campaign.ended_at:
        yield Happened(campaign.ended_at, "campaign", f"Campaign {campaign.state}: {says(campaign)}")
    for following in campaign.next.order_by("pk")[:20]:
        url = reverse("gates:campaign", args=[following.pk])
        yield Happened(following.started_at, "campaign", f"Campaign {following.pk} followed this one.", url)


def _of_runs(campaign: Campaign) -> Iterable[Happened]:
    events = RunEvent.objects.filter(run__campaign=campaign).select_related("run").order_by("-at", "-pk")
    for event in events[:MOST_HAPPENED]:
        url = event.run.get_absolute_url()
        yield Happened(event.at, f"gate {event.run.gate} {event.kind}", event.sentence, url, event.level)
    firsts = Finding.objects.filter(run__campaign=campaign).order_by("run_id", "rule", "found_at", "pk")
    for found in firsts.distinct("run_id", "rule").select_related("run")[:MOST_RULES]:
        sentence = f"{found.rule}: {found.sentence}"
        yield Happened(
            found.found_at, f"gate {found.run.gate} first finding", sentence, found.get_absolute_url(), found.level
        )
    reviews = Review.objects.filter(run__campaign=campaign, done_at__isnull=False).select_related("person", "run")
    for review in reviews[:MOST_HAPPENED]:
        if review.done_at:
            url = review.run.get_absolute_url()
            yield Happened(review.done_at, "review", f"{review.person}: {review.words}", url)


def _written(campaign: Campaign) -> Iterable[Happened]:
    for report in Report.objects.filter(campaign=campaign).defer("content").order_by("pk")[:MOST_HAPPENED]:
        sentence = f"{report.file_name} was sealed: {report.verdict}."
        yield Happened(report.created_at, "report", sentence, report.get_absolute_url())


def _incident(campaign: Campaign) -> Iterable[Happened]:
    changes = IncidentChange.objects.filter(pgh_obj__campaign=campaign).select_related("pgh_obj")
    for change in changes.order_by("pgh_id")[:MOST_HAPPENED]:
        words = Incident.State(change.state).label
        yield Happened(change.pgh_created_at, "incident", f"Incident: {words}.", change.pgh_obj.get_absolute_url())


def _decided(campaign: Campaign) -> Iterable[Happened]:
    """What people said and decided about it: reviews of its code, signatures, capital plans."""
    url = reverse("gates:sign_off", args=[campaign.pk])
    for review in campaign.code_reviews.select_related("reviewer").order_by("pk")[:MOST_HAPPENED]:
        words = "accepts" if review.accepted else "does not accept"
        yield Happened(review.at, "code review", f"{review.reviewer} {words} the code: {review.statement}", url)
    for row in campaign.sign_offs.select_related("person").order_by("pk")[:MOST_HAPPENED]:
        sentence = f"{row.person} {WORDS[row.decision]} as {row.role}, about {row.get_stage_display()}: {row.statement}"
        yield Happened(row.at, "signature", sentence, url)
    plans = campaign.capital_plans.select_related("proposed_by", "decided_by").order_by("pk")
    for plan in plans[:MOST_HAPPENED]:
        where, by = plan.get_absolute_url(), f" by {plan.proposed_by}" if plan.proposed_by else ""
        yield Happened(plan.proposed_at, "capital plan", f"A plan of {plan.amount} USD was proposed{by}.", where)
        if plan.decided_at and plan.decided_by:
            why = f": {plan.decision}" if plan.decision else ""
            yield Happened(plan.decided_at, "capital plan", f"It was {plan.state} by {plan.decided_by}{why}", where)


def compared(before: Campaign, after: Campaign) -> dict[str, Any]:
    """Return two campaigns side by side: facts, criteria of each gate, and the rules that each found broken."""
    pairs = []
    for gate in (1, 2, 3, 4):
        runs = [each.runs.filter(gate=gate).order_by("-planned_start").first() for each in (before, after)]
        if any(runs):
            pairs.append({"gate": gate, "runs": runs, "criteria": _criteria_pairs(*runs)})
    counts = [_rules(each) for each in (before, after)]
    closed = set(after.runs.filter(state=Run.State.CLOSED).values_list("gate", flat=True))
    rules = [
        {
            "rule": rule,
            "before": counts[0].get(rule, 0),
            "after": counts[1].get(rule, 0),
            "looked_for": _gates_of(before, rule) <= closed,
        }
        for rule in sorted({*counts[0], *counts[1]})
    ]
    return {
        "before": before,
        "after": after,
        "gates": pairs,
        "rules": rules,
        "same_build": before.build == after.build,
        "statuses": [status_of(before), status_of(after)],
    }


def _criteria_pairs(before: Run | None, after: Run | None) -> list[dict[str, Any]]:
    tables = [{line["name"]: line for line in run.criteria} if run else {} for run in (before, after)]
    names = dict.fromkeys((*tables[0], *tables[1]))
    return [{"name": name, "before": tables[0].get(name), "after": tables[1].get(name)} for name in names]


def _gates_of(campaign: Campaign, rule: str) -> set[int]:
    """Return the gates that found this rule broken: only where they were closed again is its absence a fact."""
    found = Finding.objects.filter(run__campaign=campaign, rule=rule).order_by()
    return set(found.values_list("run__gate", flat=True).distinct())


def _rules(campaign: Campaign) -> dict[str, int]:
    found = Finding.objects.filter(run__campaign=campaign).order_by().values_list("rule").annotate(n=Count("pk"))
    return dict(found)


def incident_context(incident: Incident, person_id: int | None) -> dict[str, Any]:
    """Return everything that the incident's page shows; `person_id` is who looks at it."""
    order = list(Incident.State)
    place = order.index(Incident.State(incident.state))
    findings = Finding.objects.filter(run__campaign=incident.campaign).order_by("found_at", "pk")
    firsts = findings.filter(
        pk__in=findings.order_by("run_id", "rule", "found_at", "pk")
        .distinct("run_id", "rule")
        .values("pk")[:MOST_RULES]
    )
    slots = Slot.objects.filter(run__campaign=incident.campaign, verdict="failed").count()
    return {
        "incident": incident,
        "campaign": incident.campaign,
        "place": place,
        "steps": [
            {"name": state.value, "status": "passed" if n < place else "running" if n == place else "waiting"}
            for n, state in enumerate(order[:4])
        ],
        "findings": list(firsts),
        "tied": list(incident.findings.order_by("pk")[:MOST_RULES]),
        "failed_slots": slots,
        "proofs": list(incident.proofs.order_by("-pk").select_related("asked_by", "crash_point")[:MOST_RULES]),
        "points": list(failed_points(incident.campaign)[:MOST_RULES]) if incident.state == Incident.State.TEST else [],
        "proven": proven(incident),
        "own_fix": person_id is not None and incident.fixed_by_id == person_id,
        "changes": list(IncidentChange.objects.filter(pgh_obj=incident).order_by("pgh_id")[:MOST_HAPPENED]),
        "following": list(incident.campaign.next.order_by("pk")[:20]),
        "going": incident.proofs.exclude(state="done").exists(),
    }
