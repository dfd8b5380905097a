"""Scenario 10: the connection to the ledger drops at each round trip, COMMIT above all; its backend is terminated; no
connection is had for a while."""

from gates.chaos.faults import RefuseConnections
from gates.chaos.faults.fault import parameters
from gates.chaos.messages import Channel, Strike
from gates.chaos.scenarios.scenario import EVERY_OPERATION, Aim, Scenario, answers, on, requests

REFUSED = RefuseConnections(duration_ms=1_500)

DATABASE_CONNECTION_DROP = Scenario(
    name="database_connection_drop",
    title="Database connection drop",
    operations=EVERY_OPERATION,
    aims=(
        Aim(Strike.LOSE_REQUEST, on(Channel.LEDGER, requests)),
        Aim(Strike.LOSE_ANSWER, on(Channel.LEDGER, answers)),
        Aim(Strike.TERMINATE_BACKEND, on(Channel.LEDGER, requests)),
        Aim(Strike.REFUSE_CONNECTIONS, on(Channel.LEDGER, requests), parameters(REFUSED)),
    ),
)
