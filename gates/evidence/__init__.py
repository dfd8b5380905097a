"""Evidence: what a verdict rests on, sealed by hash, chain and signature so that an outsider can check it."""
