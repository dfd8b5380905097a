"""What people and ticks cause of gate 4: opening it, opening the next month, stopping the target."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from audits.sources import BrokerError
from audits.sources.oanda import OandaReader
from audits.transactions import TransactionUnreadable, change_of, exact, required
from audits.verdicts import Verdict
from gates import engine
from gates.campaigns.commands import CampaignRefusedError, go_live
from gates.campaigns.searching import description_sha256
from gates.checks import health
from gates.live_capital.environments import LIVE, SIMULATED, WrongEnvironmentError
from gates.live_capital.limits import judge_capital
from gates.live_capital.plans import LivePlan, live_plan_for, live_windows
from gates.live_capital.reaching import Opened, live_access, live_spec, look, reader_of
from gates.live_capital.rehearsed import rehearsed_figures
from gates.live_capital.standing import terms_of
from gates.models import Campaign, CapitalPlan, LiveRun, Run, RunEvent, Target
from gates.plans import CANDLE_S
from gates.signoff.standing import missing
from gates.targets import stage
from gates.targets.access import TargetUnreachableError
from gates.targets.environment import environment_of
from gates.targets.rehearsal import LIVE_UNITS

log = logging.getLogger(__name__)

GATE = 4
CURRENCY = "USD"
MOST_NAMED = 5


class CannotGoLiveError(Exception):
    """Gate 4 cannot open; the message says why and what to do."""


REFUSALS = (
    CannotGoLiveError,
    CampaignRefusedError,
    WrongEnvironmentError,
    TargetUnreachableError,
    BrokerError,
    TransactionUnreadable,
)


@dataclass(frozen=True, slots=True)
class Month:
    """One month to be opened: the plan it is for, whether it counts, who starts it, the month before it."""

    plan: CapitalPlan
    why_not: str
    started_by: User | None
    previous: LiveRun | None = None


def open_gate_4(plan: CapitalPlan, *, started_by: User | None, why_not: str = "", now: datetime) -> Run:
    """Open gate 4 with an approved plan: its first month. `why_not` says why it does not count, if it does not.

    1. The plan is approved and has time for a whole month; no month of it has run.
    2. In the rehearsal the stage is set: the account is funded and the desk begins to trade.
    3. Host, token and account are what the description says, the account holds no more than the plan allows, the
       target is well and of the campaign's build.
    4. In one transaction: the run with all its slots, its row, the first event.

    Raises what REFUSALS names, UnknownProfileError.
    """
    if plan.state != CapitalPlan.State.APPROVED:
        raise CannotGoLiveError(f"The capital plan is {plan.state}: gate 4 opens with an approved one.")
    if LiveRun.objects.filter(plan=plan).exists():
        raise CannotGoLiveError("Gate 4 was opened with this plan already: a plan is for one gate 4.")
    with transaction.atomic():
        # Held while the stage is set: two that open at once would move money in each other's month.
        target = Target.objects.select_for_update().get(pk=plan.campaign.target_id)
        _demand_free(target)
        if not why_not:
            _demand_signed(plan.campaign)  # before any money is moved for it
            go_live(plan.campaign_id, now)
        if is_simulated(target):
            stage.set_stage(plan.amount)
        return open_month(Month(plan, why_not, started_by), max(now, timezone.now()))


def _demand_signed(campaign: Campaign) -> None:
    """What was approved may be void by now: what is made of a finding has changed since, or somebody withdrew."""
    left = missing(campaign) if campaign.signable else ()
    if left:
        raise CannotGoLiveError(f"The approval does not stand any more. {left[0]}")


def open_month(month: Month, now: datetime) -> Run:
    """Open one month: day 1 of as many as the plan of the profile has. A later one rests on the same signatures."""
    campaign, shape = month.plan.campaign, live_plan_for(month.plan.campaign.profile)
    if month.previous and not month.why_not:
        _demand_signed(campaign)
    start = first_day(now)
    _demand_time(month.plan, shape, start)
    baseline, environment = _baseline(month, campaign, now)
    with transaction.atomic():
        _demand_free(Target.objects.select_for_update().get(pk=campaign.target_id))
        run = Run.objects.create(
            campaign=campaign,
            gate=GATE,
            plan=asdict(shape),
            baseline=baseline,
            planned_start=start,
            planned_end=start + timedelta(seconds=shape.duration_s),
        )
        engine.insert(run, live_windows(shape, start))
        previous = month.previous
        LiveRun.objects.create(
            run=run,
            plan=month.plan,
            month=previous.month + 1 if previous else 1,
            previous=previous,
            started_by=month.started_by,
            counted=not month.why_not,
            not_counted_because=month.why_not,
            environment=environment,
            rehearsed=previous.rehearsed if previous else rehearsed_figures(campaign),
        )
        RunEvent.objects.create(run=run, at=now, kind=RunEvent.Kind.STARTED, sentence=_first_words(month, run, shape))
    return run


def first_day(now: datetime) -> datetime:
    """Return when day 1 begins: at the next whole candle of the broker, so that no candle is in two windows."""
    return datetime.fromtimestamp((now.timestamp() // CANDLE_S + 1) * CANDLE_S, tz=UTC)


def rehearsal_plan(campaign: Campaign, now: datetime) -> CapitalPlan:
    """Return the plan that a rehearsal makes for itself; it needs no people and never counts for money."""
    return CapitalPlan.objects.create(
        campaign=campaign,
        amount=Decimal(500),
        instruments=["EUR_USD", "GBP_USD", "USD_JPY"],
        order_size=Decimal(LIVE_UNITS),
        orders_per_minute=120,
        daily_loss=Decimal(25),
        total_loss=Decimal(100),
        ends_on=(now + timedelta(days=1)).date(),
        reason="Made by the rehearsal for itself.",
        rehearsal=True,
        proposed_at=now,
        state=CapitalPlan.State.APPROVED,
        decided_at=now,
        decision="A rehearsal: nobody approved it, and it can never be signed.",
    )


def _demand_time(plan: CapitalPlan, shape: LivePlan, start: datetime) -> None:
    last = (start + timedelta(seconds=shape.duration_s)).date()
    if last > plan.ends_on:
        raise CannotGoLiveError(
            f"The plan ends on {plan.ends_on}, and {shape.days} days in a row on {last}: propose another plan."
        )


def _baseline(month: Month, campaign: Campaign, now: datetime) -> tuple[dict[str, Any], str]:
    """Look at the live account and at the target as they are now: what the whole month is compared with."""
    spec = campaign.target.spec
    reach = live_access(spec)
    environment = str(live_spec(spec)["broker"].get("environment"))
    if campaign.profile == "production" and environment != LIVE:
        raise CannotGoLiveError(f"Gate 4 in production is for a live account, and the description says {environment}.")
    opened = look(spec, reach)
    if opened.currency != CURRENCY:
        raise CannotGoLiveError(f"The account is kept in {opened.currency}, and the plan in {CURRENCY}.")
    if opened.nav <= 0:
        raise CannotGoLiveError("The account holds no money: fund it with the plan's amount first.")
    for found in judge_capital(terms_of(month.plan), opened.nav) if month.previous is None else ():
        raise CannotGoLiveError(found.sentence)
    seen = health.observe(reach)
    outcome = health.judge(seen, seen)
    if outcome.verdict != Verdict.PASSED:
        raise CannotGoLiveError(f"{outcome.reason} See to the target, then open gate 4.")
    if seen["build"] != campaign.build:
        raise CannotGoLiveError(
            f"{campaign} is for the build {campaign.build}, and the target on the live account is {seen['build']}."
        )
    with reader_of(reach) as broker:
        _demand_unmoved(month, broker)
        results = {required(trade, "id"): f"{exact(trade, 'realizedPL') or 0:f}" for trade in broker.open_trades()}
    identity = {key: seen[key] for key in (*health.IDENTITY, *health.MAY_TELL) if seen.get(key) is not None}
    told = identity | {"description": description_sha256(spec), "environment": environment_of(spec, reach, now)}
    return told | {"capital": _capital(month, opened, results)}, environment


def _capital(month: Month, opened: Opened, results: Mapping[str, str]) -> dict[str, Any]:
    """What the account held when the month began; losses count from the plan's first month on."""
    first = _plan_began(month)["nav"] if month.previous else f"{opened.nav:f}"
    return {
        "account_id": opened.account_id,
        "balance": f"{opened.balance:f}",
        "nav": f"{opened.nav:f}",
        "plan_nav": first,
        "last_transaction_id": opened.last_transaction_id,
        "trade_results": dict(results),
    }


def _plan_began(month: Month) -> dict[str, Any]:
    """What the account held when the first month of a later one's plan began."""
    baseline: dict[str, Any] = LiveRun.objects.select_related("run").get(plan=month.plan, month=1).run.baseline
    return baseline["capital"]


def _demand_unmoved(month: Month, broker: OandaReader) -> None:
    """Losses count from the plan's first month on, and nobody watched between two months: money that was moved since
    would hide them."""
    if month.previous is None:
        return
    since = broker.transactions(int(_plan_began(month)["last_transaction_id"]))
    moved = [change_of(record) for record in since if record.get("type") == "TRANSFER_FUNDS"]
    if moved:
        amounts = ", ".join(f"{amount.normalize():+f}" for amount in moved[:MOST_NAMED])
        raise CannotGoLiveError(
            f"Money was moved at the broker since the plan began ({amounts} USD): propose another plan."
        )


def _demand_free(target: Target) -> None:
    if Run.objects.filter(campaign__target=target, state=Run.State.RUNNING).exists():
        raise CannotGoLiveError(f"A run of {target} is going on: wait for its end, a target has one run at a time.")


def is_simulated(target: Target) -> bool:
    """Whether gate 4 of the target is rehearsed with the simulator."""
    return live_spec(target.spec)["broker"].get("environment") == SIMULATED


def _first_words(month: Month, run: Run, shape: LivePlan) -> str:
    number = month.previous.month + 1 if month.previous else 1
    words = f"Day 1 of {shape.days} begins, month {number} of {month.plan}, with {run.slots.count()} slots."
    return words if not month.why_not else f"{words} It does not count as gate 4: {month.why_not}"
