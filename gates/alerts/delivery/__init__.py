"""Delivery: how people hear of an alert."""
