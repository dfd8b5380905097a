"""What a signature under a campaign is bound to."""

import hashlib

import rfc8785

from gates.models import Campaign, Finding, Report

CAPITAL = "capital"  # the decision before gate 4; any later one looks at gate 4 too


def evidence_sha256(campaign: Campaign, *, stage: str = CAPITAL) -> str:
    """Return the hash over the campaign's build, its reports' hashes in order, and what people made of its findings.

    It changes when any of these does. At the stage `capital` gate 4 is not part of it: what happens after a decision
    does not undo it.
    """
    reports = Report.objects.filter(campaign=campaign)
    findings = Finding.objects.filter(run__campaign=campaign)
    if stage == CAPITAL:
        reports, findings = reports.exclude(run__gate=4), findings.exclude(run__gate=4)
    triage = findings.order_by("pk").values_list("pk", "state", "cause", "fix", "prevention_test")
    digest = hashlib.sha256(
        rfc8785.dumps(
            {
                "schema": "wartest.standing/1",
                "campaign": campaign.pk,
                "build": campaign.build,
                "stage": stage,
                "reports": list(reports.order_by("pk").values_list("sha256", flat=True)),
            }
        )
    )
    for row in triage.iterator(chunk_size=2000):
        digest.update(rfc8785.dumps(list(row)))
    return digest.hexdigest()
