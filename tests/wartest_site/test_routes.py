"""Routes and drills from a terminal."""

import pytest
from django.core.management import CommandError, call_command

from gates.alerts.delivery import outbox
from gates.alerts.delivery.drills import answer
from gates.alerts.delivery.outbox import Room
from gates.models import Delivery, Route
from tests.gates.alerts.delivery.cast import a_person

pytestmark = pytest.mark.django_db


def test_a_route_is_added_changed_listed_and_taken_out_of_use(capsys):
    call_command("add_route", "phone", "env:PHONE", "--levels", "critical, high", "--quiet", "22:00-07:00")
    call_command("add_route", "phone", "env:OTHER", "--role", "owner")
    call_command("add_route", "phone", "--off")
    call_command("add_route", "--list")
    row = Route.objects.get()
    assert (row.address, row.roles, row.active, row.quiet_from) == ("env:OTHER", ["owner"], False, None)
    assert capsys.readouterr().out.splitlines()[-1].split("; ")[-1] == "off"


@pytest.mark.parametrize(
    "wrong", [[], ["mail"], ["mail", "mailto://me:secret@x.org"], ["mail", "env:MAIL", "--quiet", "night"]]
)
def test_what_makes_no_route_is_refused_in_a_sentence(wrong):
    with pytest.raises(CommandError) as refused:
        call_command("add_route", *wrong)
    assert refused.value.returncode == 2
    assert "secret" not in str(refused.value)


def test_a_drill_is_started_and_shown_and_passes_only_when_it_was_answered(capsys):
    with pytest.raises(CommandError, match="no route"):
        call_command("drill_alerts")
    call_command("add_route", "mail", "env:MAIL")
    call_command("drill_alerts")

    def shown():
        with pytest.raises(SystemExit) as ended:
            call_command("drill_alerts", "--show")
        return ended.value.code

    assert shown() == 3
    (row,) = outbox.claim(worker="w", room=Room(1, 9), taken={}, now=Delivery.objects.get().next_at)
    outbox.note_delivered(row, now=row.next_at)
    answer(row.code, a_person("anna"), row.next_at)
    assert shown() == 0
    assert "received by anna after 0 s" in capsys.readouterr().out
