"""Evidence in the admin: to be seen by those with the permission to view it, and by nobody to be changed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class EvidenceAdmin(admin.ModelAdmin):
    """Rows that a verdict rests on: no add, no change, no delete, for the superuser neither.

    The database refuses it too; here nobody is offered what would be refused.
    """

    show_full_result_count = False  # a second count over a million slots would say nothing new
    list_per_page = 100

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
