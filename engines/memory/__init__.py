"""The memory planner: what a worker will need, whether the machine has it, and what was really needed last time."""
