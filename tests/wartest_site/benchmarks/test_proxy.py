"""A round trip of the proxy's benchmark is one whole answer, and a ratio needs something to be a ratio to."""

import socket

import pytest

from wartest_site.benchmarks.proxy import HTTP_REQUEST, _get, _over
from wartest_site.embedded.children import CannotStartError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n"


class Pieces:
    """A connection whose answers come in these pieces, one at each look."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.asked = []

    def sendall(self, request):
        self.asked.append(request)

    def recv(self, _size):
        return self.pieces.pop(0)


@pytest.mark.parametrize("pieces", [(HEAD + b"one.",), (HEAD, b"one."), (HEAD[:9], HEAD[9:] + b"on", b"e.")])
def test_a_round_trip_ends_with_the_last_byte_of_its_own_answer(pieces):
    connected = Pieces(*pieces, HEAD, b"two.")
    ask = _get(connected)
    ask()
    assert connected.pieces == [HEAD, b"two."]
    ask()
    assert (connected.pieces, connected.asked) == ([], [HTTP_REQUEST] * 2)


@pytest.mark.parametrize("pieces", [(HEAD, b""), (b"HTTP/1.1 200 OK\r\n\r\n",)])
def test_an_answer_that_never_ends_is_no_round_trip(pieces):
    with pytest.raises(CannotStartError):
        _get(Pieces(*pieces))()


def test_the_answering_server_and_a_real_socket_are_understood():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(HEAD + b"one.")
        _get(ours)()
        assert theirs.recv(65_536) == HTTP_REQUEST


def test_there_is_no_ratio_to_a_peer_that_was_not_seen_to_add_anything():
    assert _over("ours", (10.0, 30.0), (40.0, 60.0)) == {"ours_p50": 0.25, "ours_p99": 0.5}
    assert _over("ours", (10.0, 30.0), (-1.0, 0.0)) == {}
