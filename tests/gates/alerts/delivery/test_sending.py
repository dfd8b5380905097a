"""One message to one address: a web hook, a mail, a chat; and everything that can be wrong with the other side."""

import pytest

from gates.alerts.delivery.addresses import RouteUnusableError, address_of
from gates.alerts.delivery.failing import trouble_of
from gates.alerts.delivery.sending import Letter, send
from wartest_site.benchmarks.receivers import mail_receiver, web_receiver

SECRET = "hook-7d1f3a9c55"
LETTER = Letter("env:HOOK", "alert-7-1-raised-0-route-3", "critical", "CRITICAL: system crash", "It died ‹b›.\nSee x")


@pytest.fixture
def web():
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def hook(web, monkeypatch):
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{web.port}/{SECRET}")
    return web


def test_a_web_hook_gets_the_words_and_the_key_in_the_body_and_beside_it(hook):
    assert send(LETTER) == ""
    (one,) = hook.received
    assert one.text.startswith("CRITICAL: system crash\nIt died ‹b›.\nSee x")
    assert one.key == one.headers["idempotency-key"] == LETTER.key


def test_a_mail_says_the_same_without_markup(monkeypatch):
    with mail_receiver() as mail:
        monkeypatch.setenv("HOOK", f"mailto://127.0.0.1:{mail.port}?from=portal@example.org&to=anna@example.org")
        assert send(LETTER) == ""
    (one,) = mail.received
    assert one.key == one.headers["idempotency-key"] == LETTER.key
    assert one.headers["subject"] == "CRITICAL: system crash"
    assert "It died" in one.text


def test_what_a_chat_would_take_for_markup_is_escaped(monkeypatch, web):
    monkeypatch.setenv("HOOK", f"slack://{'T' * 9}/{'B' * 9}/{'x' * 24}")
    assert "slack" not in trouble_of("env:HOOK"), "a chat's address is understood"
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{web.port}/?format=html")
    assert send(Letter("env:HOOK", "watch-x", "high", "t", "<b>bold</b> & more")) == ""
    assert "<b>" not in web.received[0].text


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "500"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "404"),
        (b"nonsense\r\n\r\n", "onnection error"),
    ],
)
def test_a_server_that_does_not_take_it_is_said_without_its_address(hook, answer, says):
    hook.answer = answer
    words = send(LETTER)
    assert says in words
    assert SECRET not in words


def test_a_redirect_is_not_followed_to_an_inside_address(hook):
    with web_receiver() as inside:
        hook.answer = (
            f"HTTP/1.1 307 x\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n".encode()
        )
        assert "307" in send(LETTER)
        assert inside.asked == 0
        assert hook.asked == 1


def test_not_even_where_the_address_asks_for_it(hook, monkeypatch):
    with web_receiver() as inside:
        monkeypatch.setenv("HOOK", f"json://127.0.0.1:{hook.port}/?redirect=yes&retry=5")
        hook.answer = (
            f"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n".encode()
        )
        assert send(LETTER)
        assert (inside.asked, hook.asked) == (0, 1)


def test_nobody_at_the_other_end_is_said(monkeypatch, unused_tcp_port_number):
    monkeypatch.setenv("HOOK", f"json://127.0.0.1:{unused_tcp_port_number}/{SECRET}")
    words = send(LETTER)
    assert words
    assert SECRET not in words


@pytest.fixture
def unused_tcp_port_number():
    with web_receiver() as gone:
        pass
    return gone.port


@pytest.mark.parametrize("wrong", ["mailto:x", "http:/x", "nosuch://a/b", f"slack://{SECRET}", "://", "jsons://"])
def test_a_wrong_address_is_said_in_words_that_do_not_repeat_it(monkeypatch, wrong):
    monkeypatch.setenv("HOOK", wrong)
    words = trouble_of("env:HOOK")
    assert words.startswith("env:HOOK holds")
    assert SECRET not in words
    assert send(LETTER) == words


def test_an_address_comes_from_the_environment_or_a_file_and_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("HOOK", raising=False)
    assert "HOOK is not set" in trouble_of("env:HOOK")
    file = tmp_path / "hook"
    assert "cannot be read" in trouble_of(f"file:{file}")
    file.write_text("\n json://example.org/x \nmore\n")
    assert address_of(f"file:{file}") == "json://example.org/x"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RouteUnusableError, match="not text"):
        address_of(f"file:{file}")
    with pytest.raises(RouteUnusableError):
        address_of("file:/dev/zero")
