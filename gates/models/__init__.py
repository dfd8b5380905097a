"""The rows of the portal. Rows are the truth; ticks move them, pure functions judge them, pages show them."""

from gates.models.alerts import Alert, AlertStep, RuleWatch
from gates.models.audits import LedgerAudit
from gates.models.campaigns import Campaign, Run, Target
from gates.models.capital import CapitalPlan, LiveRun
from gates.models.chaos import ChaosRun, CrashPoint, Heal, OperationBaseline, ScenarioRun
from gates.models.delivery import Delivery, Drill, DrillAnswer, Route, RouteChange
from gates.models.detection import Rehearsal, RehearsedDefect
from gates.models.events import Beat, Report, RunEvent
from gates.models.evidence import Verification
from gates.models.findings import Finding
from gates.models.hands import AtRest, Review
from gates.models.incidents import Incident, IncidentFinding, Proof
from gates.models.preflights import Preflight
from gates.models.signoff import CodeReview, SignOff
from gates.models.slots import Slot, SlotResult
from gates.models.streams import Stream, StreamGap, StreamLease

__all__ = [
    "Alert",
    "AlertStep",
    "AtRest",
    "Beat",
    "Campaign",
    "CapitalPlan",
    "ChaosRun",
    "CodeReview",
    "CrashPoint",
    "Delivery",
    "Drill",
    "DrillAnswer",
    "Finding",
    "Heal",
    "Incident",
    "IncidentFinding",
    "LedgerAudit",
    "LiveRun",
    "OperationBaseline",
    "Preflight",
    "Proof",
    "Rehearsal",
    "RehearsedDefect",
    "Report",
    "Review",
    "Route",
    "RouteChange",
    "RuleWatch",
    "Run",
    "RunEvent",
    "ScenarioRun",
    "SignOff",
    "Slot",
    "SlotResult",
    "Stream",
    "StreamGap",
    "StreamLease",
    "Target",
    "Verification",
]
