"""Every forbidden move, by every way: a page's address or form, the admin, SQL of the portal's own role.

Each is refused in one sentence or by the database, and leaves every table of ours as it was.
"""

import pytest
from django.db import connection

from gates.live_capital.plan_commands import PlanRefusedError, decide_plan
from gates.models import Campaign, CapitalPlan, Finding
from gates.signoff.commands import SignOffRefusedError
from tests.gates.cast import a_campaign, a_run
from tests.gates.forbidden import (
    Move,
    Scene,
    a_report,
    a_result,
    a_scene,
    by_admin,
    by_form,
    by_sql,
    everything,
)
from tests.gates.signoff.deciding import NOW
from tests.gates.signoff.test_races import at_once

FORBIDDEN = "403 "
APPEND_ONLY = "Cannot update or delete"


def campaign(scene: Scene) -> int:
    return scene.campaign.pk


def smoke(scene: Scene) -> int:
    return scene.smoke.pk


def incident(scene: Scene) -> int:
    return scene.incident.pk


def plan(scene: Scene) -> int:
    return scene.plan.pk


def signing(name, **changed):
    return lambda scene: scene.signing(name, **changed)


def one(**form):
    return lambda scene: form


def after(first, act):
    """Let something allowed happen before the try."""

    def both(scene):
        first(scene)
        scene.before = everything()
        return act(scene)

    return both


def emil_signs(scene):
    scene.decided.sign("emil")


def a_run_begins(scene):
    a_run(profile="smoke", spec={})


def no_slot_campaign(scene):
    return a_campaign(passed=(1,), name="no-slot-desk").pk


def a_gate(scene):
    return scene.campaign.runs.get(gate=1).pk


def all_sign_and_findings_change(scene):
    for name in ("ben", "dora", "emil"):
        scene.decided.sign(name)
    decide_plan(scene.plan.pk, "approved", by=scene.person("emil"), words="", now=NOW)
    shape = {
        "rule": "slow query",
        "level": "medium",
        "sentence": "2 s.",
        "state": "explained",
        "cause": "A backup ran.",
    }
    Finding.objects.create(run=scene.campaign.runs.get(gate=1), found_at=NOW, **shape)


SIGNATURE = (
    "INSERT INTO gates_signoff (campaign_id, stage, number, role, person_id, decision, statement, evidence_sha256, "
    "build, authenticated_by, at) VALUES (%s, 'capital', (SELECT count(*) + 1 FROM gates_signoff), '{role}', %s, "
    "'approve', 'By hand.', repeat('0', 64), %s, '[]', now())"
)
SIGNED = "(SELECT evidence_sha256 FROM gates_signoff)"
RUN = (
    "INSERT INTO gates_run (campaign_id, gate, state, plan, baseline, criteria, planned_start, planned_end, cursor) "
    "VALUES (%s, {gate}, 'running', '{{}}', '{{}}', '[]', now(), now() + interval '1 hour', 0)"
)


def person(name):
    return lambda scene: scene.person(name).pk


def build(scene):
    return scene.campaign.build


STEPS = ("fix", "prove", "strike", "accept", "approve", "send-back")
SKIPPED = tuple(
    Move(
        f"take the step {step!r} of an incident before its cause is named",
        "address",
        by_form("root", f"gates:incident_{step}", incident, one(fix="x", test="t", approval="x", point="1")),
        "This incident is at",
    )
    for step in STEPS
)
MOVES = (
    *SKIPPED,
    Move("skip to the approval of an incident", "admin", by_admin("incident", incident, state="approved"), FORBIDDEN),
    Move(
        "skip to the approval of an incident",
        "SQL",
        by_sql("UPDATE gates_incident SET state = 'approved', approval = 'x' WHERE id = %s", incident),
        "cannot go from investigate to approved",
    ),
    Move(
        "name a cause without its finding",
        "form",
        by_form("root", "gates:incident_investigate", incident, one(cause="Bad luck.")),
        "a cause is tied to what was found",
    ),
    Move(
        "begin anew in production before the incident is approved",
        "SQL",
        after(
            by_sql(
                "INSERT INTO gates_campaign (target_id, profile, build, state, whole, repeat_reason, stopped_reason, "
                "started_at) SELECT target_id, 'production', 'sha256:1', 'running', false, '', '', now() "
                "FROM gates_campaign WHERE id = %s",
                lambda scene: scene.incident.campaign_id,
            ),
            by_sql(
                RUN.format(gate=1).replace("%s", "(SELECT max(id) FROM gates_campaign WHERE build = 'sha256:1')"),
            ),
        ),
        "is not through its incident",
    ),
    Move(
        "sign twice",
        "form",
        after(emil_signs, by_form("emil", "gates:sign", campaign, signing("emil"))),
        "nobody signs twice",
    ),
    Move(
        "sign twice",
        "SQL",
        after(
            emil_signs,
            by_sql(
                SIGNATURE.format(role="engineer").replace(
                    "repeat('0', 64)", "(SELECT evidence_sha256 FROM gates_signoff)"
                ),
                *(campaign, person("emil"), build),
            ),
        ),
        "decided about campaign",
    ),
    Move(
        "sign twice",
        "admin",
        after(emil_signs, by_admin("signoff", lambda scene: scene.campaign.sign_offs.get().pk, role="engineer")),
        FORBIDDEN,
    ),
    Move(
        "sign from a page that is stale",
        "form",
        by_form("emil", "gates:sign", campaign, signing("emil", evidence_sha256="0" * 64)),
        "The evidence changed while you read",
    ),
    Move(
        "sign for a build that is not the campaign's any more",
        "form",
        by_form("emil", "gates:sign", campaign, signing("emil", build="sha256:other")),
        "Your page showed the build sha256:other",
    ),
    Move(
        "sign for a build that is not the campaign's any more",
        "SQL",
        by_sql(SIGNATURE.format(role="owner"), campaign, person("emil"), lambda scene: "sha256:other"),
        "is for another build than the one signed",
    ),
    Move(
        "sign without the right",
        "form",
        by_form("carla", "gates:sign", campaign, signing("carla", role="owner")),
        FORBIDDEN,
    ),
    Move(
        "sign as an administrator without a role",
        "form",
        by_form("root", "gates:sign", campaign, signing("root")),
        "You cannot sign as owner",
    ),
    Move(
        "sign what one started",
        "form",
        by_form("anna", "gates:sign", campaign, signing("anna")),
        "You started this campaign",
    ),
    Move(
        "sign what one started",
        "SQL",
        by_sql(SIGNATURE.format(role="engineer"), campaign, person("anna"), build),
        "who started campaign",
    ),
    Move("sign a smoke test", "form", by_form("emil", "gates:sign", smoke, signing("emil")), "cannot be signed"),
    Move(
        "sign a smoke test",
        "SQL",
        by_sql(SIGNATURE.format(role="owner"), smoke, person("emil"), lambda scene: scene.smoke.build),
        "only production can be signed",
    ),
    Move(
        "approve a campaign that nobody signed",
        "SQL",
        by_sql("UPDATE gates_campaign SET state = 'approved' WHERE id = %s", campaign),
        "is not signed: 0 approved",
    ),
    Move("approve a campaign that nobody signed", "admin", by_admin("campaign", campaign, state="approved"), FORBIDDEN),
    Move(
        "approve a smoke test",
        "SQL",
        by_sql("UPDATE gates_campaign SET state = 'approved' WHERE id = %s", smoke),
        "is not signed: 0 approved",
    ),
    Move(
        "let a campaign go live that nobody signed",
        "SQL",
        by_sql("UPDATE gates_campaign SET state = 'live' WHERE id = %s", campaign),
        "Cannot update",
    ),
    Move(
        "change a decision",
        "SQL",
        after(emil_signs, by_sql("UPDATE gates_signoff SET statement = 'Another.'")),
        APPEND_ONLY,
    ),
    Move("erase a decision", "SQL", after(emil_signs, by_sql("DELETE FROM gates_signoff")), APPEND_ONLY),
    Move(
        "withdraw the decision of another",
        "form",
        after(
            emil_signs,
            by_form(
                "dora",
                "gates:withdraw",
                campaign,
                lambda scene: {"decision": scene.campaign.sign_offs.get().pk, "statement": "I know better than he."},
            ),
        ),
        "Only a decision of your own",
    ),
    Move(
        "review the code that one fixed or started",
        "form",
        by_form(
            "anna",
            "gates:review_code",
            campaign,
            lambda scene: {"outcome": "accepted", "build": scene.campaign.build, "review": "I wrote it all myself."},
        ),
        "You started this campaign",
    ),
    Move("change a sealed report", "admin", by_admin("report", a_report, verdict="passed"), FORBIDDEN),
    Move("change a sealed report", "SQL", by_sql("UPDATE gates_report SET verdict = 'failed'"), APPEND_ONLY),
    Move("erase a sealed report", "SQL", by_sql("DELETE FROM gates_report"), APPEND_ONLY),
    Move("change a result", "admin", by_admin("slotresult", a_result, verdict="failed"), FORBIDDEN),
    Move("change a result", "SQL", by_sql("UPDATE gates_slotresult SET verdict = 'failed'"), APPEND_ONLY),
    Move("erase an event", "SQL", by_sql("DELETE FROM gates_run"), "Cannot delete"),
    Move("change the verdict of a gate", "admin", by_admin("run", a_gate, verdict="failed"), FORBIDDEN),
    Move(
        "close a gate as passed before its slots are done",
        "SQL",
        after(
            a_run_begins,
            by_sql(
                "UPDATE gates_run SET state = 'closed', verdict = 'passed', closed_at = now() WHERE state = 'running'"
            ),
        ),
        "a slot of it is open, missed, failed or without its result",
    ),
    Move(
        "close a gate as passed that has no slot",
        "SQL",
        after(
            by_sql(RUN.format(gate=2), no_slot_campaign),
            by_sql(
                "UPDATE gates_run SET state = 'closed', verdict = 'passed', closed_at = now() WHERE state = 'running'"
            ),
        ),
        "it has no slot, so nothing was looked at",
    ),
    Move(
        "write down a gate that has passed already",
        "SQL",
        after(
            no_slot_campaign,
            by_sql(
                RUN.format(gate=2)
                .replace("cursor)", "cursor, verdict, closed_at)")
                .replace("0)", "0, 'passed', now())")
                .replace("'running'", "'closed'"),
                lambda scene: Campaign.objects.get(target__name="no-slot-desk").pk,
            ),
        ),
        "Cannot insert rows",
    ),
    Move("change the verdict of a gate", "SQL", by_sql("UPDATE gates_run SET verdict = 'failed'"), "Cannot update"),
    Move(
        "open a gate out of its turn",
        "SQL",
        by_sql(RUN.format(gate=2), lambda scene: scene.incident.campaign_id),
        "stays shut",
    ),
    Move(
        "open gate 4 without an approval",
        "address",
        by_form("anna", "gates:open_gate_4", plan, one()),
        "another person has to approve it",
    ),
    Move("open gate 4 without an approval", "SQL", by_sql(RUN.format(gate=4), campaign), "stays shut"),
    Move(
        "open gate 4 by an approval that is void",
        "address",
        after(all_sign_and_findings_change, by_form("anna", "gates:open_gate_4", plan, one())),
        "The approval does not stand any more",
    ),
    Move(
        "approve one's own plan",
        "form",
        by_form("dora", "gates:decide_capital", plan, one(decision="approved")),
        "You proposed this plan",
    ),
    Move("approve one's own plan", "admin", by_admin("capitalplan", plan, state="approved"), FORBIDDEN),
    Move(
        "approve one's own plan",
        "SQL",
        by_sql(
            "UPDATE gates_capitalplan SET state = 'approved', decided_at = now(), decided_by_id = proposed_by_id "
            "WHERE id = %s",
            plan,
        ),
        "another_person_decides",
    ),
    Move("change the limits of a plan", "SQL", by_sql("UPDATE gates_capitalplan SET amount = 500"), "Cannot update"),
    Move(
        "propose a plan without a limit",
        "form",
        by_form("ben", "gates:propose_capital", smoke, one(amount="500", daily_loss="-1")),
        "409 ",
    ),
)


@pytest.mark.django_db
@pytest.mark.parametrize("move", MOVES, ids=str)
def test_a_forbidden_move_is_refused_and_changes_nothing(move, settings):
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    scene = a_scene()
    scene.before = everything()
    said = move.act(scene)
    assert move.words in said, said[-3000:]
    assert everything() == scene.before


KEEP_NO_EVIDENCE = {  # what is so just now
    "gates_beat",
    "gates_preflight",
    "gates_rulewatch",
    "gates_stream",
    "gates_streamlease",
}


@pytest.mark.django_db
def test_no_table_of_evidence_is_emptied_at_one_stroke():
    tables = [name for name in connection.introspection.table_names() if name.startswith("gates_")]
    with connection.cursor() as cursor:
        for table in tables:  # off in tests that empty tables between them
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    answers = {table: by_sql(f"TRUNCATE {table} CASCADE")(None) for table in tables}
    emptied = {table for table, said in answers.items() if "is never emptied" not in said}
    assert emptied == KEEP_NO_EVIDENCE, {table: answers[table] for table in emptied}


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_about_one_plan_at_once_one_decides():
    scene = a_scene()

    def decides(name, decision):
        try:
            return decide_plan(scene.plan.pk, decision, by=scene.person(name), words="I read it.", now=NOW).state
        except PlanRefusedError as error:
            raise SignOffRefusedError(str(error)) from error

    came_to = at_once(
        *(
            lambda name=name, decision=decision: decides(name, decision)
            for name, decision in (
                ("emil", "approved"),
                ("carla", "refused"),
                ("emil", "refused"),
                ("carla", "approved"),
            )
        )
    )
    kept = [each for each in came_to if isinstance(each, str)]
    told = [str(each) for each in came_to if not isinstance(each, str)]
    assert len(kept) == 1, came_to
    assert all("already: a decision stays" in sentence for sentence in told), told
    row = CapitalPlan.objects.get()
    assert (row.state, row.decided_by.username) == (kept[0], row.decided_by.username)
