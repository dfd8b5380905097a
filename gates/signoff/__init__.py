"""People decide: what a campaign has shown, what stands against it, who may sign, and what is signed."""
