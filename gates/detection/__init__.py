"""The war test tested: planted defects, the gates that must catch them, and what was caught for which reason."""
