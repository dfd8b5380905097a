"""The `.json` twins of the pages of campaigns and incidents."""

from typing import Any

from gates.campaigns.pages import Happened, says, status_of
from gates.models import Campaign, Incident, Proof
from gates.pages.twins import moment


def campaign_twin(campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign": campaign.pk,
        "target": campaign.target.name,
        "profile": campaign.profile,
        "signable": campaign.signable,
        "build": campaign.build,
        "state": campaign.state,
        "status": status_of(campaign),
        "says": says(campaign),
        "verdict": campaign.verdict,
        "whole": campaign.whole,
        "previous": campaign.previous_id,
        "repeat_reason": campaign.repeat_reason,
        "started_at": moment(campaign.started_at),
        "ended_at": moment(campaign.ended_at),
    }


def happened_twin(each: Happened) -> dict[str, Any]:
    return {"at": moment(each.at), "kind": each.kind, "level": each.level, "sentence": each.sentence, "url": each.url}


def incident_twin(incident: Incident) -> dict[str, Any]:
    def step(words: str, person: Any, at: Any) -> dict[str, Any]:
        return {"words": words, "by": person and person.username, "at": moment(at)}

    return {
        "incident": incident.pk,
        "campaign": incident.campaign_id,
        "state": incident.state,
        "opened_at": moment(incident.opened_at),
        "cause": step(incident.cause, incident.investigated_by, incident.investigated_at)
        | {"findings": list(incident.findings.order_by("pk").values_list("pk", flat=True))},
        "fix": step(incident.fix, incident.fixed_by, incident.fixed_at) | {"build": incident.fixed_build},
        "prevention_test": step("", incident.tested_by, incident.tested_at)
        | {"proofs": [proof_twin(proof) for proof in incident.proofs.order_by("pk")[:200]]},
        "approval": step(incident.approval, incident.approved_by, incident.approved_at),
    }


def proof_twin(proof: Proof) -> dict[str, Any]:
    return {
        "test": proof.test,
        "crash_point": proof.crash_point_id,
        "build": proof.build,
        "argv": proof.argv,
        "state": proof.state,
        "verdict": proof.verdict,
        "exit_code": proof.exit_code,
        "output": proof.output,
        "receipt": proof.receipt,
        "findings": proof.findings,
        "started_at": moment(proof.started_at),
        "ended_at": moment(proof.ended_at),
    }
