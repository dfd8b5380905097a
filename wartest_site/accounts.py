"""Who may come in: people whom an administrator has added, and nobody else."""

import base64
import hashlib

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import PasswordResetConfirmView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy


class ClosedSignUp(DefaultAccountAdapter):
    """Allow no sign-up: accounts are made by an administrator."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        """Say it only to somebody who knew the password."""
        messages.error(request, "You may not come in any more: ask an administrator.")
        return redirect("account_login")


class UnreadableFactorError(ValidationError):
    """A factor was sealed with another SECRET_KEY: a form refuses its codes, a page leaves it blank."""

    silent_variable_failure = True


class SealedFactors(DefaultMFAAdapter):
    """Keep the secrets of second factors encrypted, so that a copy of the database gives nobody a code.

    The key is derived from SECRET_KEY. After a change of it no old secret can be read: codes are then refused, and an
    administrator removes the factor with `manage.py add_person NAME --remove-second-factor`.
    """

    def encrypt(self, text: str) -> str:
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return _fernet().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            raise UnreadableFactorError("This factor cannot be read any more: ask an administrator.") from None


def _fernet() -> Fernet:
    key = hashlib.sha256(b"wartest second factors" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))


class Invitation(PasswordResetConfirmView):
    """Let an invited person choose a password, once, before the link's time is over."""

    template_name = "account/invitation.html"
    success_url = reverse_lazy("account_login")
    title = "Choose a password"
