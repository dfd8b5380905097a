"""The thirteen rules with their runbooks, and the table of limits with what each target set for itself."""

from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gates.alerts.rules import BY_NAME, RULES
from gates.alerts.rules.rule import Rule, Runbook
from gates.alerts.thresholds import DEADLINES, DEFAULTS, TABLE, BadThresholdError, thresholds_of
from gates.models import Alert, RuleWatch, Run, Target
from gates.pages.twins import moment

MOST_TARGETS = 200
MOST_WATCHED = 50 * len(RULES)
STATUS = {RuleWatch.State.FIRING: "failed", RuleWatch.State.CLEAN: "passed", RuleWatch.State.NOT_JUDGED: "inconclusive"}


def runbook_of(rule: str) -> Runbook | None:
    """Return what to know about an alert of this rule; None for the finding of a check, which has none."""
    known = BY_NAME.get(rule)
    return known.runbook if known else None


@require_safe
def rules_page(request: HttpRequest, *, twin: bool = False) -> HttpResponse:
    own, mistakes = _own_limits()
    limits = [{"limit": limit, "own": own.get(limit.name, [])} for limit in TABLE]
    open_alerts = Alert.objects.exclude(state=Alert.State.RESOLVED).order_by()
    standing = dict(open_alerts.filter(rule__in=BY_NAME).values_list("rule").annotate(n=Count("pk")))
    now = _now()
    if twin:
        rules = [_rule_twin(rule) | {"standing": standing.get(rule.name, 0)} for rule in RULES]
        for told in rules:
            told["now"] = [_watch_twin(watch) for watch, _ in now.get(told["rule"], [])]
        return JsonResponse({"rules": rules, "limits": [_limit_twin(each) for each in limits], "mistakes": mistakes})
    context = {
        "rules": [(rule, DEADLINES[rule.level], standing.get(rule.name, 0), now.get(rule.name, [])) for rule in RULES],
        "limits": limits,
        "mistakes": mistakes,
    }
    return render(request, "gates/alert_rules.html", context)


def watch_of(alert: Alert) -> RuleWatch | None:
    """Return what the alert's rule says of its run now; None for what no rule watches."""
    return RuleWatch.objects.filter(run=alert.run, rule=alert.rule).first() if alert.run_id else None


def _now() -> dict[str, list[tuple[RuleWatch, str]]]:
    """Return by rule what it says of each run that goes on, with its status."""
    said: dict[str, list[tuple[RuleWatch, str]]] = {}
    watches = RuleWatch.objects.filter(run__state=Run.State.RUNNING).select_related("run__campaign__target")
    for watch in watches.order_by("run")[:MOST_WATCHED]:
        said.setdefault(watch.rule, []).append((watch, STATUS[RuleWatch.State(watch.state)]))
    return said


def _own_limits() -> tuple[dict[str, list[tuple[str, float]]], dict[str, str]]:
    """Return by limit the (target, value) that differ from the table, and by target what is wrong with its own."""
    own: dict[str, list[tuple[str, float]]] = {}
    mistakes = {}
    for name, spec in Target.objects.order_by("name").values_list("name", "spec")[:MOST_TARGETS]:
        try:
            limits = thresholds_of(spec)
        except BadThresholdError as error:
            mistakes[name] = str(error)
            continue
        for limit, value in limits.items():
            if value != DEFAULTS[limit]:
                own.setdefault(limit, []).append((name, value))
    return own, mistakes


def _rule_twin(rule: Rule) -> dict[str, Any]:
    book = rule.runbook
    return {
        "rule": rule.name,
        "level": rule.level,
        "deadline_s": DEADLINES[rule.level].total_seconds(),
        "watches": rule.watches,
        "limits": list(rule.thresholds),
        "rechecked_by": rule.rechecked_by,
        "runbook": {"means": book.means, "look_at": book.look_at, "leave_alone": book.leave_alone},
    }


def _watch_twin(watch: RuleWatch) -> dict[str, Any]:
    return {
        "run": watch.run_id,
        "target": watch.run.campaign.target.name,
        "state": watch.state,
        "words": watch.words,
        "looked_at": moment(watch.looked_at),
    }


def _limit_twin(each: dict[str, Any]) -> dict[str, Any]:
    limit = each["limit"]
    return {"name": limit.name, "default": limit.default, "words": limit.words, "of_targets": dict(each["own"])}
