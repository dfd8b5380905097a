"""Celery: short, idempotent tasks that carry ids only. Rows hold the work, so a lost message costs nothing."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")

from django.conf import settings

environment = settings.ENVIRONMENT

REDIS_OPTIONS = {
    "visibility_timeout": 300,  # above the time limit, else a task runs twice
    "socket_timeout": 30,  # no endless read when the broker hangs
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 30,
}
RABBITMQ_OPTIONS = {"connect_timeout": 5, "confirm_publish": True}  # what it holds unacknowledged comes again by itself

app = Celery("wartest")
app.conf.update(
    broker_url=environment.task_broker_url,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=False,  # the next tick finds the work again: no poison loop
    task_time_limit=60,
    task_soft_time_limit=50,
    broker_transport_options=RABBITMQ_OPTIONS if environment.task_broker_url.startswith("amqp") else REDIS_OPTIONS,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=30,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_max_tasks_per_child=500,
    worker_hijack_root_logger=False,
    timezone="UTC",
    task_default_queue="checks",
    task_routes={"gates.tasks.tick": {"queue": "tick"}},
    beat_scheduler="wartest_site.pulsing:PulsingScheduler",
    beat_schedule={
        "tick": {
            "task": "gates.tasks.tick",
            "schedule": environment.tick_s,
            "options": {"expires": 5},  # after an outage a backlog of ticks evaporates
        },
    },
)
app.autodiscover_tasks(["gates"])
