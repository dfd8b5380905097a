"""Where a run was taken stands in its report, on its page, on the evidence's cover, and before who signs."""

import io
import zipfile

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from gates import reports
from gates.evidence.places import open_place
from gates.evidence.signing import portal_key
from gates.evidence.verifying import Known, verify
from gates.models import Target
from gates.signoff.shown import gates_shown, untested
from tests.audits.books import clean_books
from tests.gates.evidence.evident import packed
from tests.gates.ledger_audit.auditable import auditable, started, work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home")]


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    static = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": static}


@pytest.fixture
def report(postgres_server):
    """Of an audit of books whose production runs on another Python."""
    with auditable(clean_books(), postgres_server) as desk:
        production = {"identity": {"python": "2.7"}}
        Target.objects.filter(pk=desk.target.pk).update(spec=desk.target.spec | {"production": production})
        desk.target.refresh_from_db()
        return reports.write(work(started(desk)).pk, timezone.now())


def test_a_report_says_where_it_was_taken_and_what_is_not_productions(report, client, tmp_path):
    environment = report.content["environment"]
    assert environment["facts"]["ledger_server_version"]
    assert "2.7" in {line["production"] for line in environment["differences"] if line["fact"] == "python"}
    client.force_login(User.objects.create_user("auditor"))
    page = client.get(reverse("gates:sealed", args=[report.pk])).content.decode()
    content = packed(report.campaign)
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        cover = zipped.read(f"wartest-evidence-campaign-{report.campaign_id}/index.html").decode()
    for shown in (page, cover):
        assert "Where it was taken" in shown
        assert "<code>2.7</code>" in shown
    (tmp_path / "x.zip").write_bytes(content)
    assert (
        verify(open_place(tmp_path / "x.zip"), Known(frozenset({portal_key().public.fingerprint}))).verdict == "passed"
    )
    said = [each.because for each in untested(report.campaign, gates_shown(report.campaign))]
    assert any("facts differ" in words and "python" in words for words in said)
