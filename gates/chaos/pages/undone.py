"""Saying by hand that what a strike left is undone: where the machine that should do it is gone."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_POST

from gates.chaos.undone_by_hand import NotUndoneError, undo_by_hand
from gates.models import Heal
from gates.roles import UNDO_BY_HAND


@require_POST
@permission_required(UNDO_BY_HAND, raise_exception=True)
def undone(request: HttpRequest, pk: int) -> HttpResponse:
    """Take the word of whoever is signed in, and go back to the crash point; why it is not taken is said there."""
    heal = get_object_or_404(Heal.objects.select_related("crash_point"), pk=pk)
    person = cast("User", request.user)
    try:
        became = undo_by_hand(heal.pk, how=request.POST.get("how", ""), person=person, now=timezone.now())
    except NotUndoneError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Noted as undone by hand. {became}".strip())
    return HttpResponseRedirect(heal.crash_point.get_absolute_url())
