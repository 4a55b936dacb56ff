"""Programs that run inside the `quantizer` environment, never beside the gateway.

Started by `engines.quantize.run` as `python -m tools.<program>` with this folder's parent on the path; they
talk to it by JSON lines (`reporting`). They import nothing of ours but one another.
"""
