"""A workshop that makes tiny checkpoints at once and writes down what it was asked for."""

import json

from engines.quantize.quality import Quality


class ScriptedWorkshop:
    """Fails at the step named in `failing`."""

    def __init__(self, failing="", error=None, digest="tools-1", perplexity=21.0):
        self._perplexity = perplexity
        self.calibration = None
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

    async def quantize(self, job, told):
        self._write(job.target, {"quantization_config": {"quant_method": job.layout.name}})
        self.calibration = job.calibration
        self._ask("quantize")
        told("tuning", 1.0)

    async def measure(self, job, scratch, told):
        assert not scratch.exists()
        self._ask("measure")
        told("measuring", 1.0)
        return Quality(20.0, self._perplexity, 100, "text", 0.9, 0.02, job.layout.name, job.layout.algorithm)

    def _ask(self, step):
        self.asked.append(step)
        if step == self._failing:
            raise self._error

    def _write(self, target, config):
        target.mkdir()
        (target / "config.json").write_text(json.dumps(config))
        (target / "model.safetensors").write_bytes(b"x")
