"""`python -m gates.streams`: holds the brokers' streams of every running run, outside Celery and Valkey."""

import asyncio
import logging
import os

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wartest_site.settings")
    django.setup()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from gates.streams.holding import Holder  # noqa: PLC0415 - settings must be ready first
    from gates.workers import identity  # noqa: PLC0415

    asyncio.run(_hold(Holder, identity()))


async def _hold(holder: type, name: str) -> None:
    await holder(name).run()


if __name__ == "__main__":
    main()
