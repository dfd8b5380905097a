"""Two who decide at once, each in a transaction of their own: one stands, the other is told so."""

from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, connections, transaction

from gates.models import Campaign, Finding, SignOff
from gates.signoff import commands
from gates.signoff.commands import SignOffRefusedError
from tests.gates.signoff.deciding import NOW, SIGNERS, a_decision
from tests.gates.signoff.test_rules import insert, row

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT_S = 60


@pytest.fixture
def decided():
    return a_decision()


def at_once(*works):
    """Let each work in a thread and a connection of its own, all starting together; return what each came to."""
    barrier, came_to = Barrier(len(works), timeout=LIMIT_S), [None] * len(works)

    def run(place, work):
        try:
            barrier.wait()
            came_to[place] = work()
        except (SignOffRefusedError, DatabaseError) as error:
            came_to[place] = error
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=pair, daemon=True) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    return came_to


def one_stands(came_to, words):
    kept = [one for one in came_to if isinstance(one, SignOff)]
    told = [str(one) for one in came_to if isinstance(one, SignOffRefusedError)]
    assert len(kept) == 1, came_to
    assert len(told) == len(came_to) - 1
    assert all(words in sentence for sentence in told), told


def test_one_person_signs_once_from_two_tabs(decided):
    pages = [decided.asked("ben") for _ in range(4)]
    one_stands(at_once(*(lambda page=page: commands.sign(page, NOW) for page in pages)), "nobody signs twice")
    assert SignOff.objects.count() == 1


def test_one_person_with_two_roles_signs_once_from_two_tabs(decided):
    decided.people["dora"].groups.add(Group.objects.get(name="owner"))
    pages = [decided.asked("dora", role=role) for role in ("risk officer", "owner")]
    one_stands(at_once(*(lambda page=page: commands.sign(page, NOW) for page in pages)), "nobody signs twice")


def test_two_people_of_one_role_decide_once(decided):
    decided.people["carla"].groups.set([Group.objects.get(name="owner")])
    pages = [decided.asked("emil"), decided.asked("carla", "refuse", role="owner")]
    one_stands(at_once(*(lambda page=page: commands.sign(page, NOW) for page in pages)), "has decided as owner already")


def test_three_people_who_sign_at_once_all_sign_and_the_campaign_moves_once(decided):
    pages = [decided.asked(name) for name in SIGNERS]
    came_to = at_once(*(lambda page=page: commands.sign(page, NOW) for page in pages))
    assert all(isinstance(one, SignOff) for one in came_to), came_to
    assert sorted(SignOff.objects.values_list("number", flat=True)) == [1, 2, 3]
    assert decided.state() == "approved"


def test_who_signs_while_the_evidence_changes_signs_the_old_or_is_refused(decided):
    found = Finding.objects.create(
        run=decided.campaign.runs.first(),
        rule="slow query",
        level="medium",
        sentence="2 s.",
        found_at=NOW,
        state="explained",
        cause="A backup ran.",
    )
    page = decided.asked("ben")
    signed, _ = at_once(
        lambda: commands.sign(page, NOW), lambda: Finding.objects.filter(pk=found.pk).update(cause="Something else.")
    )
    if isinstance(signed, SignOff):
        assert signed.evidence_sha256 == page.evidence_sha256
    else:
        assert "The evidence changed while you read" in str(signed)
    assert Campaign.objects.get().state == "ready"


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_sql_signs_once_at_every_isolation_level(decided, isolation):
    """The rules of the database alone, without the commands' lock, and in snapshots that do not see each other."""
    values = [row(decided, "emil"), row(decided, "emil", role="risk officer"), row(decided, "dora", role="owner")]

    def by_hand(one):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
                cursor.execute("SELECT count(*) FROM gates_signoff")
            insert(one)
        return "kept"

    came_to = at_once(*(lambda one=one: by_hand(one) for one in values))
    assert came_to.count("kept") == 1, came_to
    assert SignOff.objects.count() == 1
