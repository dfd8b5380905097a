"""Routes and people for the tests of delivery."""

from django.contrib.auth.models import User

from gates.alerts.delivery.routes import Wanted, add_route
from tests.gates.cast import START

LEVELS = ("critical", "high", "medium")


def a_route(name, *, address="env:MAIL", levels=LEVELS, **more):
    """Return a route in use that takes these levels."""
    return add_route(Wanted(name, address, levels, **more), START)


def a_person(name):
    return User.objects.get_or_create(username=name)[0]
