"""Gate 4: thirty days with $100 to $500 of real money. The portal watches and never trades."""
