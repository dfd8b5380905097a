"""The `.json` twin of the sign-off page: the same facts."""

from typing import Any

from gates.models import Campaign
from gates.pages.twins import alert_twin, event_twin, moment
from gates.signoff.shown import GateShown
from gates.signoff.standing import RoleStanding, Signature


def signoff_twin(facts: dict[str, Any]) -> dict[str, Any]:
    campaign, decision, rung = facts["campaign"], facts["decision"], facts["rung"]
    return {
        "campaign": campaign.pk,
        "target": campaign.target.name,
        "build": campaign.build,
        "profile": campaign.profile,
        "state": campaign.state,
        "stage": facts["stage"].value,
        "question": decision.question,
        "decision": {"word": decision.word, "sentence": decision.sentence},
        "evidence_sha256": facts["evidence_sha256"],
        "obstacles": [one.sentence for one in facts["obstacles"]],
        "signatures": [_standing_twin(one) for one in facts["standings"]],
        "first_signatures": [_standing_twin(one) for one in facts["first_standings"]],
        "code_reviews": [
            {
                "reviewer": str(row.reviewer),
                "build": row.build,
                "accepted": row.accepted,
                "statement": row.statement,
                "reference": row.reference,
                "at": moment(row.at),
            }
            for row in facts["reviews"]
        ],
        "gates": [_gate_twin(gate) for gate in facts["gates"]],
        "not_tested": [{"what": one.what, "because": one.because} for one in facts["untested"]],
        "findings": [
            {"state": row.state, "rule": row.rule, "level": row.level, "count": row.count, "cause": row.cause}
            for row in facts["findings"]
        ],
        "reviews": {
            "missed": facts["looks"].missed,
            "written": [
                {"person": str(row.person), "words": row.words, "at": moment(row.done_at)}
                for row in facts["looks"].written
            ],
        },
        "interventions": [event_twin(event) for event in facts["interventions"]],
        "alerts": [alert_twin(alert) for alert in facts["alerts"]],
        "earlier": [_earlier_twin(row) for row in facts["earlier"]],
        "differences": {
            "to_campaign": facts["last_signed"].pk if facts["last_signed"] else None,
            "changed": [{"what": one.what, "before": one.before, "now": one.now} for one in facts["differences"]],
        },
        "ladder": [
            {"step": one.number, "amount": str(one.amount), "condition": one.condition, "asked": one == rung}
            for one in facts["ladder"]
        ],
    }


def _earlier_twin(campaign: Campaign) -> dict[str, Any]:
    incident = getattr(campaign, "incident", None)
    return {
        "campaign": campaign.pk,
        "target": campaign.target.name,
        "state": campaign.state,
        "build": campaign.build,
        "stopped_reason": campaign.stopped_reason,
        "incident": incident
        and {
            "state": incident.state,
            "cause": incident.cause,
            "fix": incident.fix,
            "fixed_build": incident.fixed_build,
        },
    }


def _standing_twin(standing: RoleStanding) -> dict[str, Any]:
    return {
        "role": standing.role,
        "decision": _signature_twin(standing.decision) if standing.decision else None,
        "before": [_signature_twin(one) for one in standing.before],
    }


def _signature_twin(signature: Signature) -> dict[str, Any]:
    row = signature.row
    return {
        "number": row.number,
        "person": str(row.person),
        "decision": row.decision,
        "status": signature.status,
        "why": signature.why,
        "statement": row.statement,
        "evidence_sha256": row.evidence_sha256,
        "build": row.build,
        "authenticated_by": row.authenticated_by,
        "at": moment(row.at),
    }


def _gate_twin(gate: GateShown) -> dict[str, Any]:
    return {
        "gate": gate.number,
        "name": gate.name,
        "status": gate.status,
        "run": gate.run.pk if gate.run else None,
        "criteria": gate.run.criteria if gate.run else [],
        "report_sha256": gate.report.sha256 if gate.report else None,
    }
