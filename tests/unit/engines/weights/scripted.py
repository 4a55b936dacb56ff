"""A workshop that makes tiny checkpoints at once and writes down what it was asked for."""

import json

from engines.quantize.quality import Perplexity


class ScriptedWorkshop:
    """Fails at the step named in `failing`."""

    def __init__(self, failing="", error=None, digest="tools-1"):
        self.digest = digest
        self.asked = []
        self._failing = failing
        self._error = error

    async def open(self, report):  # noqa: ARG002 (the Protocol's signature)
        self._ask("open")

    async def convert(self, source, target, told):  # noqa: ARG002 (the Protocol's signature)
        self._write(target, {})
        self._ask("convert")
        told("converting", 1.0)

    async def quantize(self, source, target, layout, told):  # noqa: ARG002 (the Protocol's signature)
        self._write(target, {"quantization_config": {"quant_method": layout.name}})
        self._ask("quantize")
        told("tuning", 1.0)

    async def perplexity(self, checkpoint, told):  # noqa: ARG002 (the Protocol's signature)
        self._ask("perplexity")
        packed = "quantization_config" in json.loads((checkpoint / "config.json").read_text())
        return Perplexity(21.0 if packed else 20.0, 100, "text")

    def _ask(self, step):
        self.asked.append(step)
        if step == self._failing:
            raise self._error

    def _write(self, target, config):
        target.mkdir()
        (target / "config.json").write_text(json.dumps(config))
        (target / "model.safetensors").write_bytes(b"x")
