"""The chain as the database has it: every report's seal, without its content."""

from collections.abc import Mapping

from gates.evidence.index import Link
from gates.models import Report

COLUMNS = ("file_name", "kind", "campaign_id", "run_id", "verdict", "sha256", "previous", "signed_by", "signature")


def links(files: Mapping[str, str]) -> tuple[Link, ...]:
    """Return all reports in the order of the chain; `files` are the names of those that are at hand, by their hash."""
    rows = Report.objects.order_by("pk").values_list(*COLUMNS)
    return tuple(Link(name, files.get(rest[4]), *rest) for name, *rest in rows.iterator())
