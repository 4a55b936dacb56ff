"""Carries a stream over the death of its worker: pure, but for the `Transcript` that a stream keeps of itself.

`request` says whether a request's answer could be continued elsewhere, `transcript` keeps what must be known for it,
`hiding` takes out what only the gateway asked for, `decide` makes the second worker's call, and `joint` makes the
second stream read as the first one's rest. Used by `relay` and `answers`.
"""
