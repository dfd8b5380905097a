"""A fresh database for each test that asks, on the session's server."""

import uuid

import pytest

from wartest_site.embedded.postgres import PostgresServer


@pytest.fixture
def desk_database_url(postgres_server: PostgresServer) -> str:
    return postgres_server.create_database(f"desk_{uuid.uuid4().hex[:12]}")
