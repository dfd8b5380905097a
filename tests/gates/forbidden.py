"""Forbidden moves: who tries what on which scene, by a page's address or form, by the admin, or by SQL of our role."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from gates.evidence.standing import evidence_sha256
from gates.models import Campaign, CapitalPlan, Incident, Report, SlotResult
from tests.gates.cast import a_ready_campaign
from tests.gates.incidents.cast import an_incident
from tests.gates.live_capital.test_plan_pages import browser
from tests.gates.signoff.deciding import NOW, TEAM, WORDS, Decided, a_decision

HASH = "SELECT md5(coalesce(string_agg(row::text, '|' ORDER BY row::text), '')) FROM {} row"


@dataclass
class Scene:
    """A production campaign that waits for its signatures, a plan that waits for its decision, the incident of another
    target's failed campaign, and a smoke test whose gates passed."""

    decided: Decided
    plan: CapitalPlan
    incident: Incident
    smoke: Campaign
    root: User
    clients: dict[str, Client] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)

    @property
    def campaign(self) -> Campaign:
        return self.decided.campaign

    def person(self, name: str) -> User:
        return self.root if name == "root" else self.decided.people[name]

    def posts(self, name: str, route: str, pk: int | None, form: dict[str, Any]) -> str:
        """Send a form as this person, who has just said again who they are; the answer in one text."""
        client = self.clients.setdefault(name, browser(self.person(name)))
        answer = client.post(reverse(route, args=[pk] if pk is not None else []), form, follow=True)
        return f"{answer.status_code} {answer.content.decode()}"

    def signing(self, name: str, **changed: Any) -> dict[str, Any]:
        """Return what this person's page would send now."""
        shape = {"role": TEAM.get(name, "owner"), "decision": "approve", "statement": WORDS, "stage": "capital"}
        page = {"build": self.campaign.build, "evidence_sha256": evidence_sha256(self.campaign)}
        return shape | page | {"phrase": f"I approve campaign {self.campaign.pk}"} | changed


def a_scene() -> Scene:
    decided = a_decision()
    plan = CapitalPlan.objects.create(
        campaign=decided.campaign,
        amount=300,
        instruments=["EUR_USD"],
        order_size=100,
        orders_per_minute=4,
        daily_loss=20,
        total_loss=60,
        ends_on=NOW.date() + timedelta(days=3650),
        proposed_by=decided.people["dora"],
        proposed_at=NOW,
    )
    incident = an_incident("investigate", name="failed-desk")
    smoke = a_ready_campaign(profile="smoke", name="smoke-desk")
    return Scene(decided, plan, incident, smoke, User.objects.create_superuser("root"))


Act = Callable[[Scene], str]


@dataclass(frozen=True)
class Move:
    """One try: what, by which way, and the words by which it is refused."""

    what: str
    way: str
    act: Act
    words: str

    def __str__(self) -> str:
        return f"{self.what} by {self.way}"


def by_form(name: str, route: str, of: Callable[[Scene], int | None], given: Callable[[Scene], dict[str, Any]]) -> Act:
    return lambda scene: scene.posts(name, route, of(scene), given(scene))


def by_sql(statement: str, *values: Callable[[Scene], Any]) -> Act:
    """Run a statement as the portal's own role; what the database says."""

    def act(scene: Scene) -> str:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(statement, [value(scene) for value in values])
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except DatabaseError as error:
            return str(error)
        return "nothing refused it"

    return act


def by_admin(model: str, of: Callable[[Scene], Any], **form: Any) -> Act:
    """Try to add, change and delete a row as the superuser; the first answer that is no refusal, else the last."""

    def act(scene: Scene) -> str:
        pk = of(scene)
        said = ""
        for verb, args in (("change", [pk]), ("delete", [pk]), ("add", [])):
            client = scene.clients.setdefault("root", browser(scene.root))
            answer = client.post(reverse(f"admin:gates_{model}_{verb}", args=args), form | {"post": "yes"})
            said = f"{answer.status_code} {verb}"
            if answer.status_code != 403:
                return said
        return said

    return act


def everything() -> dict[str, str]:
    """Return a hash of every table of ours: what a refused move must leave as it was."""
    tables = [name for name in connection.introspection.table_names() if name.startswith("gates_")]
    with connection.cursor() as cursor:
        return {name: cursor.execute(HASH.format(name)).fetchone()[0] for name in tables}


def a_report(scene: Scene) -> int:
    return int(Report.objects.filter(campaign=scene.campaign).values_list("pk", flat=True)[0])


def a_result(scene: Scene) -> int:
    found = SlotResult.objects.filter(slot__run__campaign=scene.campaign)
    return int(found.values_list("pk", flat=True)[0])
