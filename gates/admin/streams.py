"""The broker's streams of each run, as they were held, and what each rule says of it."""

from django.contrib import admin

from gates.admin.evidence import EvidenceAdmin
from gates.models import RuleWatch, Stream, StreamGap, StreamLease


@admin.register(Stream)
class StreamAdmin(EvidenceAdmin):
    list_display = (
        "run_id",
        "kind",
        "state",
        "last_line_at",
        "lines",
        "unreadable",
        "repeated",
        "connections",
        "reason",
    )
    list_filter = ("kind", "state")


@admin.register(StreamGap)
class StreamGapAdmin(EvidenceAdmin):
    list_display = ("run_id", "kind", "since", "until", "repaired", "sentence")
    list_filter = ("kind", "repaired")


@admin.register(RuleWatch)
class RuleWatchAdmin(EvidenceAdmin):
    list_display = ("run_id", "rule", "state", "words", "looked_at", "clean_at")
    list_filter = ("state", "rule")


@admin.register(StreamLease)
class StreamLeaseAdmin(EvidenceAdmin):
    list_display = ("name", "holder", "lease_until", "attempt")
