"""The database's own rules: whoever writes past the commands, by SQL or in the admin, meets them too."""

import pghistory
import pytest
from django.contrib.auth.models import Group, User
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from gates.campaigns.commands import stop
from gates.evidence.standing import evidence_sha256
from gates.models import Campaign, Finding, SignOff
from tests.gates.signoff.deciding import NOW, a_decision

pytestmark = pytest.mark.django_db
COLUMNS = (
    "campaign_id, stage, number, role, person_id, decision, statement, evidence_sha256, build, withdraws_id, "
    "authenticated_by, at"
)


@pytest.fixture
def decided():
    return a_decision()


def row(decided, name, **changed):
    """Return the values of a signature as somebody with a database shell would write them."""
    return {
        "campaign_id": decided.campaign.pk,
        "stage": "capital",
        "number": SignOff.objects.filter(campaign=decided.campaign).count() + 1,
        "role": "owner",
        "person_id": decided.people[name].pk,
        "decision": "approve",
        "statement": "By hand.",
        "evidence_sha256": evidence_sha256(decided.campaign),
        "build": decided.campaign.build,
        "withdraws_id": None,
        "authenticated_by": "[]",
        "at": NOW,
    } | changed


def insert(values):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO gates_signoff ({COLUMNS}) VALUES ({', '.join(['%s'] * 12)})", list(values.values())
        )


def refused(values):
    before = SignOff.objects.count()
    with pytest.raises(DatabaseError) as error:
        insert(values)
    assert SignOff.objects.count() == before
    return str(error.value)


def test_a_signature_that_breaks_no_rule_is_kept(decided):
    insert(row(decided, "emil"))
    assert SignOff.objects.get().person == decided.people["emil"]


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [
        ("anna", {}, "who started campaign"),
        ("emil", {"build": "sha256:other"}, "another build"),
        ("emil", {"number": 2}, "not the next one"),
        ("emil", {"number": 0}, "not the next one"),
        ("emil", {"stage": "next step"}, "waits for no signature"),
        ("emil", {"stage": "later"}, "waits for no signature"),
        ("emil", {"decision": "maybe"}, "violates check constraint"),
        ("emil", {"decision": "withdraw"}, "one's own"),
        ("emil", {"statement": ""}, "a_decision_says_why"),
        ("emil", {"evidence_sha256": "x" * 64}, "a_decision_names_its_evidence"),
        ("emil", {"evidence_sha256": ""}, "a_decision_names_its_evidence"),
    ],
)
def test_sql_keeps_no_signature_that_breaks_a_rule(decided, name, changed, words):
    assert words in refused(row(decided, name, **changed))


def test_sql_signs_neither_twice_nor_for_a_role_that_decided(decided):
    decided.sign("emil")
    assert "decided about campaign" in refused(row(decided, "emil", role="engineer"))
    assert "decided about campaign" in refused(row(decided, "dora", role="owner"))
    insert(row(decided, "dora", role="risk officer"))


def test_sql_withdraws_nobody_elses_decision_and_none_twice(decided):
    made = decided.sign("emil")
    taken_back = {"decision": "withdraw", "withdraws_id": made.pk}
    assert "one's own" in refused(row(decided, "dora", **taken_back))
    assert "one's own" in refused(row(decided, "emil", role="engineer", **taken_back))
    insert(row(decided, "emil", **taken_back))
    assert "withdraws_id" in refused(row(decided, "emil", **taken_back))


def test_sql_approves_neither_a_rehearsal_nor_what_was_stopped_nor_what_nobody_reviewed(decided):
    other = Campaign.objects.create(target=decided.campaign.target, profile="smoke", build="x", started_at=NOW)
    rehearsal = row(decided, "emil", campaign_id=other.pk, build="x", number=1)
    assert "is a smoke: only production can be signed" in refused(rehearsal)
    stop(decided.campaign.pk, "It was stopped.", verdict="failed", now=NOW)
    assert "waits for no signature" in refused(row(decided, "emil"))
    unread = a_decision(people=decided.people, reviewed=False, name="other")
    assert "has no code review" in refused(row(unread, "emil"))
    insert(row(unread, "emil", decision="refuse"))


def test_sql_approves_nothing_of_those_who_worked_on_findings_or_started_a_gate():
    decided = a_decision(gates_started_by={2: "emil"})
    assert "who started campaign" in refused(row(decided, "emil"))
    found = Finding.objects.create(
        run=decided.campaign.runs.first(), rule="slow query", level="medium", sentence="2 s.", found_at=NOW
    )
    with pghistory.context(user=decided.people["dora"].pk):
        Finding.objects.filter(pk=found.pk).update(state="explained", cause="A backup ran.")
    assert "worked on the findings" in refused(row(decided, "dora", role="risk officer"))


@pytest.mark.parametrize("table", ["gates_signoff", "gates_codereview"])
def test_what_is_decided_is_neither_changed_nor_deleted_nor_emptied(decided, table):
    decided.sign("emil")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")  # off in tests that empty tables between them
    for statement in (
        f"UPDATE {table} SET statement = 'Another.'",
        f"UPDATE {table} SET at = now()",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert SignOff.objects.get().statement != "Another."


def test_a_person_who_decided_cannot_be_deleted(decided):
    decided.sign("emil")
    pk = decided.people["emil"].pk

    def delete():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM auth_user_groups WHERE user_id = %s", [pk])
            cursor.execute("DELETE FROM auth_user WHERE id = %s", [pk])
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(DatabaseError, match="violates foreign key constraint"):
        delete()


@pytest.mark.parametrize(("values", "words"), [({"build": "x"}, "another build"), ({"name": "anna"}, "cannot review")])
def test_sql_keeps_no_code_review_of_another_build_or_by_who_started_it(decided, values, words):
    person = decided.people[values.pop("name", "carla")].pk
    build = values.get("build", decided.campaign.build)
    insert_review = (
        "INSERT INTO gates_codereview (campaign_id, reviewer_id, build, accepted, reference, statement, at) "
        "VALUES (%s, %s, %s, true, '', 'Fine.', now())"
    )
    with pytest.raises(DatabaseError, match=words), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(insert_review, [decided.campaign.pk, person, build])


@pytest.fixture
def administrator(client, settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    client.force_login(User.objects.create_user("root", is_staff=True, is_superuser=True))
    return client


def test_an_administrator_changes_and_deletes_no_decision_in_the_admin(administrator, decided):
    made = decided.sign("emil")
    for model, pk in (("signoff", made.pk), ("codereview", decided.campaign.code_reviews.get().pk)):
        change = reverse(f"admin:gates_{model}_change", args=[pk])
        assert administrator.get(change).status_code == 200
        for address, form in (
            (change, {"statement": "Another.", "decision": "refuse"}),
            (reverse(f"admin:gates_{model}_delete", args=[pk]), {"post": "yes"}),
            (reverse(f"admin:gates_{model}_add"), {"statement": "New."}),
        ):
            assert administrator.post(address, form).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        administrator.post(reverse(f"admin:gates_{model}_changelist"), chosen)
    assert SignOff.objects.get().statement == made.statement


def test_an_administrator_deletes_nobody_who_signed(administrator, decided):
    decided.sign("emil")
    emil = decided.people["emil"]
    administrator.post(reverse("admin:auth_user_delete", args=[emil.pk]), {"post": "yes"})
    assert User.objects.filter(pk=emil.pk).exists()


def test_an_administrator_without_a_role_signs_nothing(administrator, decided):
    root = User.objects.get(username="root")
    form = {"role": "owner", "decision": "approve", "statement": "I am root.", "stage": "capital"}
    answer = administrator.post(reverse("gates:sign", args=[decided.campaign.pk]), form)
    assert answer.status_code == 409
    assert not SignOff.objects.exists()
    root.groups.add(Group.objects.get(name="auditor"))
    assert administrator.post(reverse("gates:sign", args=[decided.campaign.pk]), form).status_code == 409
