"""One message to one address, by apprise. It blocks, for a bounded time where the other side lets it."""

import logging
from dataclasses import dataclass, field

import apprise
from apprise import AppriseAsset, NotifyFormat, NotifyType

from gates.alerts.delivery.addresses import RouteUnusableError, address_of
from gates.alerts.delivery.words import without_secrets

CONNECT_S, ANSWER_S = 4.0, 6.0
KINDS = {"critical": NotifyType.FAILURE, "high": NotifyType.WARNING, "medium": NotifyType.INFO}
KEY_HEADER = "Idempotency-Key"

logging.getLogger("apprise").propagate = False  # what it says may hold parts of an address


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent; `address` is the name of the address."""

    address: str
    key: str
    level: str
    title: str
    body: str = field(repr=False)


def send(letter: Letter) -> str:
    """Send it. Returns the empty text when the receiver took it, else why not, in words without a secret."""
    try:
        address = address_of(letter.address)
        service = service_of(letter.address, address)
    except RouteUnusableError as error:
        return str(error)
    for place in ("headers", "payload_extras"):  # those of webhooks and of mail; the body has it for all
        where = getattr(service, place, None)
        if isinstance(where, dict):
            where[KEY_HEADER if place == "headers" else "key"] = letter.key
    post = apprise.Apprise(asset=service.asset)
    post.add(service)
    try:
        result = post.notify(
            body=f"{letter.body}\n\nwartest {letter.key}",
            title=letter.title,
            notify_type=KINDS[letter.level],
            body_format=NotifyFormat.TEXT,
        )
    except Exception as error:  # noqa: BLE001 - a service's own code: whatever it does, it is a try that failed
        return without_secrets(f"{type(error).__name__}: {error}", address)
    return "" if result else without_secrets(_why(result) or "The service did not take it.", address)


def service_of(named: str, address: str) -> apprise.NotifyBase:
    """Return how the address is reached: no redirects, no tries of its own. Raises RouteUnusableError."""
    asset = AppriseAsset(
        app_id="wartest", app_desc="wartest", app_url="", http_redirects=False, async_mode=False, service_timeout=0
    )
    try:
        service = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=False)
    except Exception:  # noqa: BLE001 - whatever a service's own code makes of a wrong address
        service = None
    if not isinstance(service, apprise.NotifyBase):
        raise RouteUnusableError(
            f"{named} holds an address that cannot be used: compare it with apprise's list of services."
        )
    service.redirects, service.retry = False, 0
    service.socket_connect_timeout = min(service.socket_connect_timeout, CONNECT_S)
    service.socket_read_timeout = min(service.socket_read_timeout, ANSWER_S)
    return service


def _why(result: apprise.AppriseResult) -> str:
    """What the service said about it last."""
    said = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR")]
    return said[-1] if said else ""
