"""The portal's help: behind the login, and true of the commands and modules that it names."""

import importlib.util
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import get_commands
from django.urls import reverse

from gates.pages.help import PAGES

ADDRESSES = ("/help/", *(f"/help/{name}/" for name, _, _ in PAGES))


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    """Without `collectstatic` there is no manifest."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}


@pytest.mark.parametrize("address", ADDRESSES)
def test_help_is_for_those_who_are_signed_in(client, admin_client, address):
    answer = client.get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_login"))
    assert admin_client.get(address).status_code == 200


def test_what_the_help_tells_to_type_is_there(admin_client):
    words = " ".join(admin_client.get(address).text for address in ADDRESSES)
    commands = set(re.findall(r"manage\.py (\w+)", words))
    modules = set(re.findall(r"python -m ([\w.]+)", words))
    assert {"migrate", "preflight", "verify_evidence", "watch"} <= commands
    assert commands <= set(get_commands())
    assert "gates.streams" in modules
    assert all(importlib.util.find_spec(f"{module}.__main__") for module in modules)


def test_pictures_are_there_small_and_told_in_words(admin_client):
    page = admin_client.get("/help/first-afternoon/").text
    pictures = re.findall(r'<img src="/static/([^"]+)"[^>]*?alt="([^"]+)"', page, re.DOTALL)
    assert len(pictures) == page.count("<img") >= 4
    assert all(len(words) > 40 for _, words in pictures)
    assert all(Path(finders.find(name)).stat().st_size <= 120_000 for name, _ in pictures)
