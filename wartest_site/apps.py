"""The frame as a Django app, so that its commands are found."""

from django.apps import AppConfig


class FrameConfig(AppConfig):
    """Load Celery with Django, so that tasks find their broker."""

    name = "wartest_site"

    def ready(self) -> None:
        from wartest_site import celery  # noqa: F401, PLC0415 (settings must be ready first)
