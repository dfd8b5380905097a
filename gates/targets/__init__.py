"""How a target is reached and controlled."""
