"""Whose turn it is: gates 2 and 3 open for the build and by the description of gate 1, or say why not."""

import pytest
from django.db import DatabaseError, transaction

from gates.campaigns.searching import description_sha256
from gates.campaigns.turns import whose_turn
from gates.models import Run
from gates.targets.commands import add_target
from tests.gates.cast import START, a_campaign, a_gate

pytestmark = pytest.mark.django_db
SPEC = {"chaos": {"scenarios": [{"name": "own"}]}}


@pytest.fixture
def campaign():
    """Return a campaign whose gates 1 and 2 have passed by one description."""
    target, _ = add_target("fx-desk", SPEC, START)
    campaign = a_campaign()
    for gate in (1, 2):
        a_gate(campaign, gate, baseline={"description": description_sha256(target.spec)})
    return campaign


def turn(campaign):
    campaign.target.refresh_from_db()
    return whose_turn(campaign.target, "smoke", gate=3, build=campaign.build)


def test_the_description_changed_between_two_gates_keeps_the_next_one_shut_until_it_is_put_back(campaign):
    assert turn(campaign) == (campaign, "")
    assert add_target("fx-desk", {"chaos": {}}, START)[1] == "changed"
    nobody, why = turn(campaign)
    assert nobody is None
    assert "is not the one that gate 1 of campaign" in why
    assert why.endswith("put it back, or start a new campaign.")
    add_target("fx-desk", SPEC, START)
    assert turn(campaign) == (campaign, "")


@pytest.mark.parametrize("baseline", [{}, {"description": description_sha256({"chaos": {}})}])
def test_no_gate_opens_by_sql_under_another_description(campaign, baseline):
    shape = {"campaign": campaign, "gate": 3, "plan": {}, "planned_start": START, "planned_end": START.replace(hour=13)}
    with pytest.raises(DatabaseError, match="the description is not that of gate 1"), transaction.atomic():
        Run.objects.create(baseline=baseline, **shape)
    assert Run.objects.create(baseline={"description": description_sha256(SPEC)}, **shape).is_open
