"""Cells: isolated copies of a target, each with its own ledger database, broker account, proxies and process."""
