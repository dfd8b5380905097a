"""Chaos: what was asked of a run of gate 2, its scenarios, their crash points, and the heals of what was broken."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.urls import reverse

from gates.models.campaigns import VERDICTS, Run
from gates.models.keeping import NEVER_EMPTIED
from gates.models.slots import Slot

PHASES = ("baseline", "armed", "struck", "healing", "recovering", "verifying", "done")
_FORWARD = [(before, after) for place, before in enumerate(PHASES) for after in PHASES[place + 1 :]]


class Phase(models.TextChoices):
    """Where a scenario or a crash point is."""

    BASELINE = "baseline"
    ARMED = "armed"
    STRUCK = "struck"
    HEALING = "healing"
    RECOVERING = "recovering"
    VERIFYING = "verifying"
    DONE = "done"


class ChaosRun(models.Model):
    """What was asked of one run of gate 2, and the lease of the engine that the portal started for it.

    `sampled` is how many trials of each strike and operation are made; null makes them all.
    """

    class Mode(models.TextChoices):
        FULL = "full", "full: a recovery after every strike"
        QUICK = "quick", "quick: one recovery for each durable state that a kill left"

    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="chaos")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    counted = models.BooleanField()
    not_counted_because = models.TextField(blank=True)
    mode = models.CharField(max_length=5, choices=Mode, default=Mode.FULL)
    sampled = models.PositiveSmallIntegerField(null=True)
    depth = models.PositiveSmallIntegerField(default=1)
    only_operation = models.CharField(max_length=20, blank=True)
    only_point = models.TextField(blank=True)
    only_strike = models.CharField(max_length=120, blank=True)
    only_then = models.TextField(blank=True)
    cells = models.PositiveSmallIntegerField(default=4)
    lease_until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    trouble = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(counted=True, not_counted_because="")
                | (models.Q(counted=False) & ~models.Q(not_counted_because="")),
                name="chaos_says_why_it_does_not_count",
            )
        ]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="chaos_no_delete", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="chaos_asked_stays",
                fields=[
                    "run",
                    "started_by",
                    "counted",
                    "mode",
                    "sampled",
                    "depth",
                    "only_operation",
                    "only_point",
                    "only_strike",
                    "only_then",
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"chaos of run {self.run_id}"

    @property
    def is_narrowed(self) -> bool:
        """Whether only some strikes were asked for: then no other is missing, and it is a part of the gate."""
        return bool(self.only_operation or self.only_point or self.only_strike or self.only_then)


class ScenarioRun(models.Model):
    """One of the twelve scenarios in one run. Its phase is the furthest that any of its crash points has reached."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="scenarios")
    slot = models.OneToOneField(Slot, on_delete=models.PROTECT, related_name="scenario")
    name = models.CharField(max_length=40)
    number = models.PositiveSmallIntegerField()
    phase = models.CharField(max_length=10, choices=Phase, default=Phase.BASELINE)
    phase_at = models.JSONField(default=dict)
    reason = models.TextField(blank=True)
    lease_until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="a_scenario_runs_once_in_a_run")]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="scenario_no_delete", operation=pgtrigger.Delete),
            pgtrigger.FSM(name="scenario_moves", field="phase", transitions=_FORWARD),
        ]

    def __str__(self) -> str:
        return f"{self.name} of run {self.run_id}"

    def get_absolute_url(self) -> str:
        return reverse("gates:scenario", args=[self.pk])


class OperationBaseline(models.Model):
    """The clean run of one operation: where it starts and ends, and its messages in order of time.

    `clean` is `gates.chaos.strikes.invariants.Clean` as JSON.
    `messages` holds {channel, direction, label, point, at_ms}; `background` what only one recording held. `build` is
    what the program in the cell showed of itself, empty where it showed none.
    """

    scenario = models.ForeignKey(ScenarioRun, on_delete=models.PROTECT, related_name="baselines")
    operation = models.CharField(max_length=20)
    clean = models.JSONField()
    messages = models.JSONField()
    background = models.JSONField()
    took_ms = models.FloatField()
    build = models.CharField(max_length=300, blank=True)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scenario", "operation"], name="one_baseline_per_operation")]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="baseline_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"baseline of {self.operation} in {self.scenario}"


class CrashPoint(models.Model):
    """One strike at one message: work that any engine takes, and its result once it is done.

    `phase_at` holds when its last attempt reached each phase.
    `verdict` is null at one that is done and does not apply; `reason` then says why. `state_after_kill` names the
    durable state that a kill left, without what differs by chance, and `exact` with it and with what the caller was
    told: only kills alike in both share a recovery. `same_as` is the crash point whose recovery stands for this one.
    At depth 2 `first` is the crash point whose kill comes first, and the `then_…` fields name the second kill, at a
    message of the recovery. `recovery` at the first holds `gates.chaos.baseline.Script` of that recovery as JSON.
    """

    scenario = models.ForeignKey(ScenarioRun, on_delete=models.PROTECT, related_name="crash_points")
    number = models.PositiveIntegerField()
    operation = models.CharField(max_length=20)
    point = models.TextField()
    label = models.TextField()
    position = models.PositiveIntegerField()
    strike = models.CharField(max_length=30)
    parameters = models.JSONField(default=dict)
    half_open = models.BooleanField(default=False)
    first = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="seconds")
    then_point = models.TextField(blank=True)
    then_label = models.TextField(blank=True)
    then_strike = models.CharField(max_length=30, blank=True)
    fault = models.CharField(max_length=120)
    phase = models.CharField(max_length=10, choices=Phase, default=Phase.BASELINE)
    phase_at = models.JSONField(default=dict)
    lease_until = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    verdict = models.CharField(max_length=12, choices=VERDICTS, null=True)
    applies = models.BooleanField(default=True)
    reason = models.TextField(blank=True)
    receipt = models.JSONField(null=True)
    recovery_ms = models.FloatField(null=True)
    findings = models.JSONField(default=list)
    changes = models.JSONField(default=dict)
    end = models.CharField(max_length=10, blank=True)
    state_after_kill = models.CharField(max_length=16, blank=True)
    exact = models.CharField(max_length=17, blank=True)
    same_as = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    messages = models.JSONField(default=list)
    log = models.TextField(blank=True)
    took_ms = models.FloatField(null=True)
    recovery = models.JSONField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["scenario", "number"]
        constraints = [
            models.UniqueConstraint(fields=["scenario", "number"], name="one_crash_point_per_number"),
            models.CheckConstraint(
                condition=~models.Q(phase="done", applies=True, verdict=None), name="a_done_point_has_a_verdict"
            ),
            models.CheckConstraint(
                condition=~models.Q(verdict="passed", receipt__isnull=True), name="no_receipt_is_never_a_pass"
            ),
        ]
        indexes = [models.Index(fields=["scenario"], name="points_to_do", condition=~models.Q(phase="done"))]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="point_no_delete", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="point_done_stays", operation=pgtrigger.Update, condition=pgtrigger.Q(old__phase="done")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.fault} at {self.label} in {self.operation}"

    def get_absolute_url(self) -> str:
        return reverse("gates:crash_point", args=[self.pk])

    @property
    def depth(self) -> int:
        """1, or 2 where a second kill strikes the recovery."""
        return 2 if self.then_point else 1


class Heal(models.Model):
    """What must be undone of one strike, committed before the strike. `what` names the engine, the target's process
    and the database, by number and start time, so that any worker can undo it when the engine is dead. Where no worker
    ever can, since its machine is gone, a person says `undone_how` that it is."""

    crash_point = models.ForeignKey(CrashPoint, on_delete=models.PROTECT, related_name="heals")
    attempt = models.PositiveIntegerField()
    fault = models.CharField(max_length=120)
    what = models.JSONField()
    written_at = models.DateTimeField()
    due_at = models.DateTimeField()
    healed_at = models.DateTimeField(null=True)
    healed_by = models.CharField(max_length=100, blank=True)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    undone_how = models.TextField(blank=True)

    class Meta:
        permissions = [("undo_by_hand", "Can say that what a strike left was undone by hand")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(undone_by=None, undone_how="")
                | (models.Q(undone_by__isnull=False, healed_at__isnull=False) & ~models.Q(undone_how="")),
                name="undone_by_hand_says_how",
            )
        ]
        ordering = ["written_at"]
        indexes = [models.Index(fields=["due_at"], name="heals_open", condition=models.Q(healed_at=None))]
        triggers = [
            NEVER_EMPTIED,
            pgtrigger.Protect(name="heal_no_delete", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="heal_stays", exclude=["healed_at", "healed_by", "undone_by", "undone_how"]),
            pgtrigger.Protect(
                name="heal_once", operation=pgtrigger.Update, condition=pgtrigger.Q(old__healed_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"heal of {self.fault}"
