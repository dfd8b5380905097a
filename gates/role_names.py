"""The names of the roles, apart from all else, so that settings can be checked before anything is loaded."""

ENGINEER = "engineer"
AUDITOR = "auditor"
RISK_OFFICER = "risk officer"
OWNER = "owner"
ROLE_NAMES = (ENGINEER, AUDITOR, RISK_OFFICER, OWNER)
