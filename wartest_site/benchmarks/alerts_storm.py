"""`python -m wartest_site.benchmarks.alerts_storm EVENTS RULES`: raise that many events, spread over all targets and so
many rules, as fast as they can be raised; a process of its own, so that it does not take the receivers' time."""

import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    from django.utils import timezone  # noqa: PLC0415 - settings must be ready first

    from gates.alerts.raising import Event, raise_event  # noqa: PLC0415
    from gates.models import Run  # noqa: PLC0415

    events, rules = (int(each) for each in sys.argv[1:])
    runs = list(Run.objects.select_related("campaign__target").order_by("-pk")[:100])
    kinds = [(run, f"storm {number}") for number in range(rules) for run in runs]
    for number, (run, rule) in enumerate(kinds):
        times = events // len(kinds) + (number < events % len(kinds))
        now = timezone.now()
        event = Event(rule, "medium", "One of a storm.", now, times=times)
        raise_event(event, target=run.campaign.target, run=run, now=now)


if __name__ == "__main__":
    main()
