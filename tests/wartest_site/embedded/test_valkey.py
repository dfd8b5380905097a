import stat

import pytest
import redis

from wartest_site.embedded.valkey import prepare_valkey


def test_it_answers_and_writes_nothing_to_disk(valkey_server):
    client = redis.Redis.from_url(valkey_server.url(), socket_timeout=5)
    client.set("key", "value")
    assert client.get("key") == b"value"
    assert client.config_get("save") == {"save": ""}
    assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_nobody_gets_in_without_the_password(valkey_server):
    client = redis.Redis(port=valkey_server.port, socket_timeout=5)
    with pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_password_stays_the_same_and_private(tmp_path):
    first = prepare_valkey(tmp_path, port=1)
    second = prepare_valkey(tmp_path, port=2)
    assert first.password == second.password
    assert stat.S_IMODE((tmp_path / "valkey.conf").stat().st_mode) == 0o600
    assert "port 2" in (tmp_path / "valkey.conf").read_text()
