"""Runs of gate 2 on the desk, as somebody asks for them."""

from django.utils import timezone

from gates.chaos.commands import Asked, start_chaos

REPLAY = "kill_during_event_replay"


def asked(target, *scenarios, **options):
    return Asked(target, "smoke", scenarios, **{"cells": 2} | options)


def started(target, *scenarios, **options):
    """The run of these scenarios, or of parts of them, of which nothing is done yet."""
    return start_chaos(asked(target, *scenarios, **options), started_by=None, now=timezone.now())
