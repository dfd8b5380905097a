"""Following from a terminal: what is said, once each; a database that is away; a limit."""

from io import StringIO

from django.core.management.base import OutputWrapper
from django.db import OperationalError

from gates.models import Report
from wartest_site import following


def followed(monkeypatch, looks, limit_s=30.0):
    monkeypatch.setattr(following, "POLL_S", 0)
    said, left = StringIO(), iter(looks)

    def look():
        seen = next(left)
        if isinstance(seen, Exception):
            raise seen
        return seen

    found = following.follow("run 7", look, limit_s=limit_s, stdout=OutputWrapper(said))
    return found, said.getvalue().splitlines()


def test_each_word_is_said_once_and_a_database_that_is_away_is_waited_for(monkeypatch):
    report = Report()
    looks = [(None, "1 of 2", 0.5), (None, "1 of 2", 0.5), OperationalError("away"), (report, "2 of 2", 1.0)]
    found, said = followed(monkeypatch, looks)
    assert found is report
    assert said == ["1 of 2", "the portal's database does not answer; run 7 goes on when it does"]


def test_a_limit_that_is_over_gives_no_report(monkeypatch):
    assert followed(monkeypatch, [], limit_s=0.0) == (None, [])
