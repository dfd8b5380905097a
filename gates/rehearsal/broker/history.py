"""Transactions: by id, by range, since an id, in pages."""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from .account import Account, Transaction
from .asking import id_of, time_of
from .door import Refusal, utc_now
from .reading import Readings

MAXIMUM_TRANSACTIONS = 10_000
"""Most lines of one answer; whoever gets fewer than lastTransactionID promises asks again."""

GROUPS = {
    "ORDER": ("MARKET_ORDER", "LIMIT_ORDER", "STOP_ORDER", "MARKET_IF_TOUCHED_ORDER", "TAKE_PROFIT_ORDER"),
    "FUNDING": ("TRANSFER_FUNDS", "TRANSFER_FUNDS_REJECT"),
}


class History:
    """GET endpoints about transactions. A stale look-up ends earlier, and says so by an earlier lastTransactionID."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def routes(self) -> list[Route]:
        base = "/v3/accounts/{account_id}/transactions"
        about = self._readings.about
        return [
            Route(base, about(pages), methods=["GET"]),
            Route(base + "/idrange", about(self.id_range), methods=["GET"]),
            Route(base + "/sinceid", about(self.since_id), methods=["GET"]),
            Route(base + "/{transaction_id}", about(self.one), methods=["GET"]),
        ]

    def one(self, request: Request, account: Account) -> dict[str, Any]:
        text = request.path_params["transaction_id"]
        number = int(text) if text.isdigit() and len(text) < 19 else 0
        seen = self._readings.visible(request, account)
        if not 1 <= number <= len(seen):
            raise Refusal(404, "The transaction ID specified does not exist", lastTransactionID=str(len(seen)))
        return {"transaction": seen[number - 1], "lastTransactionID": str(len(seen))}

    def id_range(self, request: Request, account: Account) -> dict[str, Any]:
        start, end = id_of(request, "from", account), id_of(request, "to", account)
        if start < 1 or start > end:
            raise Refusal(416, "The range of transaction IDs is not valid", lastTransactionID=str(account.last_id))
        seen = self._readings.visible(request, account)
        return {"transactions": wanted(request, seen[start - 1 : end]), "lastTransactionID": str(len(seen))}

    def since_id(self, request: Request, account: Account) -> dict[str, Any]:
        since = id_of(request, "id", account)
        seen = self._readings.visible(request, account)
        return {"transactions": wanted(request, seen[since:]), "lastTransactionID": str(len(seen))}


def pages(request: Request, account: Account) -> dict[str, Any]:
    """The URLs of idrange pages that hold all transactions of a time span."""
    query = request.query_params
    start = time_of(query.get("from")) or account.created_at
    end = time_of(query.get("to")) or utc_now()
    size = query.get("pageSize", "100")
    if not size.isdigit() or not 1 <= int(size) <= 1000:
        raise Refusal(400, "Invalid value specified for 'pageSize': 1 to 1000")
    kinds = query.get("type")
    within = [t.id for t in account.transactions if start <= t.time <= end and _is_wanted(t, kinds)]
    here = str(request.url).partition("?")[0]
    suffix = f"&type={kinds}" if kinds else ""
    step = int(size)
    urls = [
        f"{here}/idrange?from={within[n]}&to={within[min(n + step, len(within)) - 1]}{suffix}"
        for n in range(0, len(within), step)
    ]
    shape = {"from": start, "to": end, "pageSize": step, "count": len(within), "pages": urls}
    return shape | ({"type": kinds.split(",")} if kinds else {})


def wanted(request: Request, transactions: list[Transaction]) -> list[Transaction]:
    kinds = request.query_params.get("type")
    return [t for t in transactions if _is_wanted(t, kinds)][:MAXIMUM_TRANSACTIONS]


def _is_wanted(transaction: Transaction, kinds: str | None) -> bool:
    if not kinds:
        return True
    return any(transaction.type == kind or transaction.type in GROUPS.get(kind, ()) for kind in kinds.split(","))
