"""What was looked at before a target's first run, need by need, and what its environment was like."""

import pgtrigger
from django.db import models
from django.urls import reverse

from gates.models.campaigns import Target


class Preflight(models.Model):
    """One look at everything a target needs.

    `lines` are `{group, need, met, words}` in the order in which to mend them; `identity` are the environment's facts,
    `differences` those that are not production's.
    """

    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="preflights")
    at = models.DateTimeField()
    took_s = models.FloatField()
    met = models.BooleanField()
    lines = models.JSONField()
    identity = models.JSONField()
    differences = models.JSONField()

    class Meta:
        ordering = ["-at", "-pk"]
        triggers = [
            pgtrigger.Protect(name="preflight_stays", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"preflight of {self.target} at {self.at:%Y-%m-%d %H:%M:%S}"

    def get_absolute_url(self) -> str:
        return reverse("gates:target", args=[self.target.name])
