"""A state folder of the test's own, and the evidence of one campaign for all tests that only read it."""

import pytest
from django.conf import settings as portal
from django.db import transaction

from gates.evidence.signing import portal_key
from gates.ledger_audit import lease
from tests.gates.evidence.evident import Evident, evident_campaign, packed


@pytest.fixture
def home(settings, tmp_path):
    """Where keys, snapshots and reports go."""
    folders = {"wartest_home": tmp_path / "home", "reports_dir": tmp_path / "reports"}
    settings.ENVIRONMENT = settings.ENVIRONMENT.model_copy(update=folders)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def evident(tmp_path_factory, django_db_setup, django_db_blocker, postgres_server):
    """Evidence that a portal made; its rows are taken back, since an outsider has no database."""
    place = tmp_path_factory.mktemp("evident")
    before = portal.ENVIRONMENT
    with django_db_blocker.unblock(), transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease, "RENEW_S", 600.0)  # its thread's own connection would not see this transaction
        portal.ENVIRONMENT = before.model_copy(
            update={"wartest_home": place / "home", "reports_dir": place / "reports"}
        )
        try:
            campaign = evident_campaign(postgres_server)
            (place / "evidence.zip").write_bytes(packed(campaign))
            first = sorted((place / "home" / "keys").glob("*.pem"))
            key = portal_key().public.fingerprint
            runs = tuple(campaign.runs.order_by("gate").values_list("pk", flat=True))
            (other,) = (path.stem for path in first if path.stem not in {key, "signing-key"})
        finally:
            portal.ENVIRONMENT = before
            transaction.set_rollback(True)
    return Evident(place / "evidence.zip", place / "home", place / "reports", key, other, campaign.pk, runs)
