"""Looks at the evidence: when somebody had the portal verify it, and what was found."""

import pgtrigger
from django.conf import settings
from django.db import models

from gates.models.campaigns import VERDICTS, Campaign
from gates.models.keeping import NEVER_EMPTIED


class Verification(models.Model):
    """One look at the evidence of a campaign, or at everything that the portal has where there is none."""

    campaign = models.ForeignKey(Campaign, null=True, on_delete=models.PROTECT, related_name="verifications")
    verdict = models.CharField(max_length=12, choices=VERDICTS)
    wrong = models.JSONField(default=list)
    unjudged = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    counts = models.JSONField(default=dict)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    took_s = models.FloatField()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["campaign", "-at"], name="newest_look")]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="look_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"look at {self.campaign or 'all evidence'}: {self.verdict}"
