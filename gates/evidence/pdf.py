"""A report as PDF, by WeasyPrint where it is installed: `uv sync --extra pdf`, and Pango from the system."""

from typing import Any, cast

from django.template.loader import render_to_string

from gates.evidence.cover import summary_of
from gates.models import Report


class NoPdfError(Exception):
    """No PDF can be made; the message says what to install."""


def report_pdf(report: Report) -> bytes:
    """Return the report as PDF. Nothing is fetched from anywhere: what would need it fails. Raises NoPdfError."""
    try:
        import weasyprint  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise NoPdfError("PDF needs WeasyPrint: install it by `uv sync --extra pdf`, or print the page.") from None
    except OSError as error:
        raise NoPdfError(
            f"WeasyPrint lacks a library of the system ({str(error).splitlines()[0][:120]}): install Pango "
            "(Debian: libpango-1.0-0 and libpangoft2-1.0-0), or print the page."
        ) from None
    html = render_to_string("evidence/report.html", {"report": report, "one": summary_of(report, report.file_name)})
    return cast("bytes", weasyprint.HTML(string=html, url_fetcher=_no_fetching).write_pdf())


def _no_fetching(url: str, *args: Any, **options: Any) -> Any:
    raise ValueError(f"A report needs nothing from elsewhere, and asked for {url[:100]}.")
