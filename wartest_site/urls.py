"""All addresses of the portal."""

from allauth.account import views as account
from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from wartest_site.accounts import Invitation

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # one sign-in, with its limits
admin.site.site_header = admin.site.site_title = "wartest"
admin.site.index_title = "Rows"

# Named one by one: allauth's own list also has pages for sign-up and lost passwords, which answer without a login.
account_addresses = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("invitation/<uidb64>/<token>/", Invitation.as_view(), name="account_invitation"),
    path("2fa/", include("allauth.mfa.urls")),
]

urlpatterns = [
    path("account/", include(account_addresses)),
    path("admin/", admin.site.urls),
    path("", include("gates.urls")),
]
