"""What gate 1 showed of the same build: the figures against which a month of real money is read."""

import logging
from typing import Any

from audits.sources import BrokerError
from audits.transactions import TransactionUnreadable, moment_of, required
from gates.live_capital.checks import stop_summary
from gates.live_capital.performance import performance
from gates.live_capital.reaching import reader_of
from gates.models import Campaign, Run, SlotResult
from gates.targets.access import TargetUnreachableError, access

log = logging.getLogger(__name__)


def rehearsed_figures(campaign: Campaign) -> dict[str, Any]:
    """Return the figures of the campaign's gate 1, from its slots and the practice account; {} without a gate 1.

    A practice account that cannot be read any more leaves the money out and says why.
    """
    run = campaign.runs.filter(gate=1, state=Run.State.CLOSED).order_by("-pk").first()
    if run is None:
        return {}
    stops = SlotResult.objects.filter(slot__run=run, slot__check_name="stops")
    figures: dict[str, Any] = {"run": run.pk} | stop_summary(list(stops.values_list("measured", flat=True)))
    try:
        reach = access(campaign.target.spec)
        with reader_of(reach) as broker:
            records = broker.transactions()
        inside = [
            record for record in records if run.planned_start <= moment_of(required(record, "time")) < run.planned_end
        ]
    except (TargetUnreachableError, BrokerError, TransactionUnreadable) as error:
        log.warning("the account of run %s cannot be read any more: %s", run.pk, error)
        return figures | {"unread": str(error)}
    return figures | performance(inside).as_text()
