"""People: added by a command, invited once, kept out again; and no page but sign-in and health without a login."""

import time
from io import StringIO

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from wartest_site.environment import Environment

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def own_cache(settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "people"}}
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    cache.clear()


def said(*arguments):
    out = StringIO()
    call_command("add_person", *arguments, stdout=out)
    return out.getvalue()


def invited(*arguments):
    """Add a person and return the path of their invitation."""
    link = said(*arguments).splitlines()[-1]
    return link[link.index("/account/") :]


def refused(*arguments):
    with pytest.raises(CommandError) as error:
        call_command("add_person", *arguments, stdout=StringIO())
    assert error.value.returncode == 2
    return str(error.value)


def accept(client, path, password=PASSWORD):
    form = client.get(path, follow=True)
    return client.post(form.redirect_chain[-1][0], {"new_password1": password, "new_password2": password})


def sign_in(client, name, password=PASSWORD):
    return client.post(reverse("account_login"), {"login": name, "password": password})


def test_an_invited_person_chooses_a_password_and_signs_in_with_the_role(client):
    accept(client, invited("anna", "--role", "risk officer"))
    assert sign_in(client, "anna").status_code == 302
    anna = User.objects.get(username="anna")
    assert [group.name for group in anna.groups.all()] == ["risk officer"]
    assert anna.has_perm("gates.view_run")
    assert not anna.has_perm("gates.start_run")
    assert client.get(reverse("gates:dashboard")).status_code == 200


def test_before_the_invitation_is_used_nobody_signs_in(client):
    invited("anna", "--role", "owner")
    for password in ("", "!", PASSWORD):
        assert sign_in(client, "anna", password).status_code == 200
    assert client.get(reverse("gates:dashboard")).status_code == 302


def test_an_invitation_is_good_once(client):
    path = invited("anna", "--role", "owner")
    accept(client, path)
    assert "This invitation is over" in client.get(path, follow=True).content.decode()


def test_a_new_invitation_ends_the_password_and_the_invitation_before(client):
    first = invited("anna", "--role", "owner")
    second = invited("anna", "--invite")
    assert "is over" in client.get(first, follow=True).content.decode()
    accept(client, second)
    assert sign_in(client, "anna").status_code == 302
    said("anna", "--invite")
    client.logout()
    assert sign_in(client, "anna").status_code == 200


def test_an_invitation_ends_after_72_hours(client):
    path = invited("anna", "--role", "owner")
    with time_machine.travel(time.time() + 72 * 3600 + 5):
        assert "is over" in client.get(path, follow=True).content.decode()


def test_a_short_password_is_refused_in_words(client):
    answer = accept(client, invited("anna", "--role", "owner"), "short")
    assert "12 characters" in answer.content.decode()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["anna", "--role", "boss"], "There is no role boss: give one of engineer, auditor, risk officer, owner."),
        (["anna"], "Say what anna does: --role with one of"),
        (["an na", "--role", "owner"], "The name an na cannot be used: Enter a valid username."),
        ([], "Say who: "),
        (["nobody", "--disable"], "There is nobody called nobody"),
        (["nobody", "--invite"], "There is nobody called nobody"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence_and_adds_nobody(arguments, words):
    assert words in refused(*arguments)
    assert not User.objects.exists()


def test_a_name_is_given_once():
    said("anna", "--role", "owner")
    assert "Anna is there already" in refused("Anna", "--role", "engineer")


def test_who_is_kept_out_is_signed_out_at_once_and_can_be_let_in_again(client):
    accept(client, invited("anna", "--role", "owner"))
    sign_in(client, "anna")
    said("anna", "--disable")
    assert client.get(reverse("gates:dashboard")).status_code == 302
    assert "ask an administrator" in client.get(sign_in(client, "anna").headers["Location"]).content.decode()
    assert client.get(reverse("gates:dashboard")).status_code == 302
    assert "let them in again first" in refused("anna", "--invite")
    said("anna", "--enable")
    assert sign_in(client, "anna").status_code == 302


def test_the_only_administrator_is_not_kept_out():
    said("root", "--admin")
    assert "only administrator" in refused("root", "--disable")
    said("other", "--admin")
    assert "kept out" in said("root", "--disable")


def test_the_list_says_who_does_what():
    said("root", "--admin", "--role", "engineer")
    said("anna", "--role", "owner")
    TOTP.activate(User.objects.get(username="anna"), SECRET)
    anna, root = said("--list").splitlines()
    assert anna.split() == ["anna", "owner;", "second", "factor;", "never", "seen"]
    assert root.split() == ["root", "engineer,", "administrator;", "password", "only;", "never", "seen"]


def test_people_are_changed_by_administrators_only(client):
    for name, flag in (("root", "--admin"), ("anna", None)):
        said(name, *([flag] if flag else ["--role", "engineer"]))
        client.force_login(User.objects.get(username=name))
        changed = client.get(reverse("admin:auth_user_changelist")).status_code
        assert changed == (200 if flag else 403)


def code():
    return format_hotp_value(hotp_value(SECRET, int(time.time()) // 30))


def test_a_second_factor_is_asked_for_and_a_code_counts_once(client):
    accept(client, invited("anna", "--role", "owner"))
    TOTP.activate(User.objects.get(username="anna"), SECRET)
    assert sign_in(client, "anna").headers["Location"] == reverse("mfa_authenticate")
    assert client.get(reverse("gates:dashboard")).status_code == 302
    used = code()
    assert client.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    assert client.post(reverse("mfa_authenticate"), {"code": used}).status_code == 302
    assert client.get(reverse("gates:dashboard")).status_code == 200
    assert "Incorrect" in client.post(reverse("mfa_reauthenticate"), {"code": used}).content.decode()


def test_the_secret_of_a_factor_is_not_readable_in_the_database(settings):
    said("anna", "--role", "owner")
    kept = TOTP.activate(User.objects.get(username="anna"), SECRET).instance
    assert SECRET not in str(Authenticator.objects.get(pk=kept.pk).data)
    settings.SECRET_KEY = "another"
    with pytest.raises(Exception, match="cannot be read any more"):
        Authenticator.objects.get(pk=kept.pk).wrap().validate_code(code())


def test_a_lost_factor_is_removed_by_an_administrator():
    said("anna", "--role", "owner")
    TOTP.activate(User.objects.get(username="anna"), SECRET)
    said("anna", "--remove-second-factor")
    assert not Authenticator.objects.exists()
    assert "has no second factor" in refused("anna", "--remove-second-factor")


def test_guessing_a_password_is_slowed_down_even_for_the_right_one(client):
    accept(client, invited("anna", "--role", "owner"))
    for _ in range(5):
        assert sign_in(client, "anna", "a wrong guess").status_code == 200
    answer = sign_in(client, "anna")
    assert answer.status_code == 200
    assert "Too many failed login attempts" in answer.content.decode()


def every_address(resolver=None, prefix="/"):
    """Yield a path for each pattern of the portal, arguments filled in."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = str(pattern.pattern)
        for name, filled in (("<path:", "1"), ("<int:", "1"), ("<", "1")):
            while name in route:
                start = route.index(name)
                route = route[:start] + filled + route[route.index(">", start) + 1 :]
        route = route.lstrip("^").rstrip("$").replace("\\Z", "")
        if isinstance(pattern, URLResolver):
            yield from every_address(pattern, prefix + route)
        elif isinstance(pattern, URLPattern) and "(" not in route:
            yield prefix + route


SIGN_IN = ("/account/login/", "/admin/login/")  # the second only sends on to the first
OPEN = {"/account/login/", "/account/logout/", "/account/2fa/authenticate/", "/account/invitation/1/1/", "/healthz"}


def test_without_a_login_there_are_the_sign_in_and_health_and_nothing_else(client):
    addresses = sorted(set(every_address()))
    assert {"/", "/runs/1/", "/admin/", "/account/2fa/totp/activate/"} <= set(addresses)
    # A scraper has a token instead of a login, and is told so; what it may see is tried where the metrics are.
    assert client.get("/metrics").status_code == 401
    shown = set()
    for address in set(addresses) - {"/metrics"}:
        for answer in (client.get(address), client.post(address)):
            if answer.status_code != 302 or not answer.headers["Location"].startswith(SIGN_IN):
                shown.add(address)
    assert shown - OPEN == set()


@pytest.mark.parametrize("roles", ["owner", "owner,boss", "", "owner,owner"])
def test_roles_that_sign_must_be_two_known_ones(roles):
    with pytest.raises(ValueError, match="two or more of: engineer, auditor, risk officer, owner"):
        Environment(sign_off_roles=roles)
    assert Environment(sign_off_roles="owner, risk officer").signing_roles == ("owner", "risk officer")
