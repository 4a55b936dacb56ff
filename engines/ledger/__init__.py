"""What is loaded where: the truth about adapters on workers, and who decides what is loaded next.

Used by the supervisor. `picture` holds the values that a decision is made from, `placement` decides, purely.
"""
