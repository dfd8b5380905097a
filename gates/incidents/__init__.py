"""Incidents: what a failed campaign must go through before its target may start again."""
