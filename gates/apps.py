"""Gates as a Django app."""

from django.apps import AppConfig


class GatesConfig(AppConfig):
    """Campaigns, runs, slots and what they found."""

    name = "gates"
