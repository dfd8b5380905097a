"""The broker's streams of each run, as they were held."""

from django.contrib import admin

from gates.admin.evidence import EvidenceAdmin
from gates.models import Stream, StreamGap, StreamLease


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


@admin.register(StreamLease)
class StreamLeaseAdmin(EvidenceAdmin):
    list_display = ("name", "holder", "lease_until", "attempt")
