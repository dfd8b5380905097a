"""`python -m gates.alerts.delivery`: delivers what the outbox holds, outside Celery and Valkey."""

import asyncio
import os

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    from gates.alerts.delivery.posting import Post  # noqa: PLC0415 - settings must be ready first
    from gates.workers import identity  # noqa: PLC0415

    asyncio.run(_deliver(Post, identity()))


async def _deliver(post: type, name: str) -> None:
    await post(name).run()


if __name__ == "__main__":
    main()
