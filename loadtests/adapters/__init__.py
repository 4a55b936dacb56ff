"""What placing adapters well is worth: simulated, and on two real workers with more adapters than slots."""
