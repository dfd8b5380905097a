"""Tags of the pages of the evidence."""

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from gates.evidence.pages import newest_look
from gates.evidence.standing import evidence_sha256
from gates.models import Campaign, Report

register = template.Library()


@register.simple_tag
def seal(report: Report) -> SafeString:
    """Say whether a report of `chain_rows` follows the one before, and who signed it."""
    if report.previous != report.before:  # type: ignore[attr-defined]  # annotated by chain_rows
        return format_html('<span class="status failed"><span aria-hidden="true">■</span> {}</span>', "chain broken")
    if report.signed_by is None:
        return format_html('<span class="status"><span aria-hidden="true">○</span> {}</span>', "unsigned")
    return format_html('<span>signed by <code title="{0}">{1}…</code></span>', report.signed_by, report.signed_by[:8])


@register.simple_tag
def evidence_hash(campaign: Campaign) -> str:
    return evidence_sha256(campaign)


@register.simple_tag
def evidence_of(campaign: Campaign) -> dict[str, Any]:
    """Return what the summary on the campaign's page shows."""
    reports = Report.objects.filter(campaign=campaign)
    return {
        "count": reports.count(),
        "unsigned": reports.filter(signed_by=None).count(),
        "look": newest_look(campaign),
        "sha256": evidence_sha256(campaign),
    }
