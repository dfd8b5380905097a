"""A kill has its receipt where whoever sent the message is seen dead, and nothing of it passes either way."""

import select
import socket
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from gates.chaos.faults import KillAfter, KillBefore
from gates.chaos.messages import Direction
from gates.chaos.proxies.events import Decision, Held, Missed
from tests.gates.chaos.conftest import Ledger, Web
from tests.gates.chaos.owners import broker
from tests.gates.chaos.owners import ledger as at

COMMIT = at(Direction.REQUEST, "COMMIT")
ORDER = broker(Direction.REQUEST, "POST /v3/accounts/*/orders")
POST = b"POST /v3/accounts/101-001-1-001/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nbuy"


@pytest.mark.parametrize(("fault", "committed"), [(KillBefore(), []), (KillAfter(), ["a"])])
def test_who_outlives_a_kill_gives_no_receipt_and_hears_no_more(
    ledger: Ledger, background: ThreadPoolExecutor, fault: KillBefore | KillAfter, committed: list[str]
):
    ledger.owner.arm(COMMIT, fault)
    going = background.submit(ledger.insert)
    ledger.owner.decide(ledger.owner.next(Held), Decision.DISCARD, pid=1, signal="SIGKILL")
    assert "outlived the kill" in ledger.owner.next(Missed).reason
    with pytest.raises(psycopg.OperationalError):
        going.result(20)
    assert ledger.owner.do(ledger.owner.proxy.control.close_upstream())
    assert ledger.executions() == committed


def test_a_death_is_seen_behind_all_that_the_dead_had_on_its_way(web: Web):
    web.owner.arm(ORDER, KillBefore())
    with socket.create_connection(("127.0.0.1", web.owner.port)) as target:
        target.sendall(POST)
        held = web.owner.next(Held)
        target.setblocking(False)
        while select.select([], [target], [], 0.3)[1]:
            target.send(POST * 1_000)
    web.owner.decide(held, Decision.DISCARD, pid=1, signal="SIGKILL")
    assert web.owner.receipt().proof == {"pid": 1, "signal": "SIGKILL", "left_open": 0}
    assert web.owner.do(web.owner.proxy.control.close_upstream())
    assert web.owner.do(web.owner.proxy.control.status()).ghosts == 0
    assert web.orders() == []
