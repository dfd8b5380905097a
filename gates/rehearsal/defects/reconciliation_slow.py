"""Reconciliation takes longer than its limit of a second.

Origin: hand-made; a comparison that asks the broker once for each position ever held.
Caught by gate 3: the duration of the desk's own reconciliations.
"""

import time
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.desk import reconcile
from gates.rehearsal.desk.database import Row

TAKES_S = 1.3
compare = reconcile.compare


def _compare(books: Row, positions: list[Row], account: dict[str, Any]) -> list[str]:
    time.sleep(TAKES_S)
    return compare(books, positions, account)


DEFECT = Defect(
    name="reconciliation-slow",
    title="Reconciliation beyond its time limit",
    gate=3,
    rules=("reconciliation slow",),
    replaces=(Replacement(reconcile, "compare", _compare),),
    steps=(ask("open"), ask("reconcile")),
)
