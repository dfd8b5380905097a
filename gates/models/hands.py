"""What the search for hands keeps between two looks, and the reviews that people owe a run."""

import pgtrigger
from django.conf import settings
from django.db import models

from gates.models.campaigns import Run
from gates.models.keeping import NEVER_EMPTIED


class AtRest(models.Model):
    """The rows of one append-only relation at the last look of a run: 64-bit hashes of their ids and of their words.

    Both are packed (zlib over native 8-byte integers, in one order); the next look must find all of them again.
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="at_rest")
    relation = models.CharField(max_length=40)
    rows = models.PositiveIntegerField()
    keys = models.BinaryField()
    contents = models.BinaryField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "relation"], name="one_rest_per_relation")]
        triggers = [NEVER_EMPTIED, pgtrigger.Protect(name="at_rest_no_delete", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.rows} rows of {self.relation} at {self.seen_at:%H:%M:%S}"


class Review(models.Model):
    """A look that a person owes a run: due between `opens_at` and `due_at`, done by one line in words, once.

    It is no intervention, and a missed one fails nothing; it is shown.
    """

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="reviews")
    number = models.PositiveSmallIntegerField()
    opens_at = models.DateTimeField()
    due_at = models.DateTimeField()
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="reviews")
    words = models.TextField(blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["due_at"]
        permissions = [("write_review", "Can write the review of a run")]
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="one_review_per_time"),
            models.CheckConstraint(
                condition=models.Q(person=None, words="", done_at=None)
                | models.Q(
                    ~models.Q(words=""),
                    person__isnull=False,
                    done_at__gte=models.F("opens_at"),
                    done_at__lte=models.F("due_at"),
                ),
                name="a_review_is_written_in_its_time",
            ),
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="review_no_delete", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="review_duty_stays", fields=["run", "number", "opens_at", "due_at"]),
            pgtrigger.Protect(
                name="review_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__done_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"review {self.number} of run {self.run_id}"
