"""SGLang 0.5.23's argument parser (sglang/srt/server_args.py): the words after the module's name.

Triton, a gigabyte without a use on CPU, is imported on the way to the parser and never called: where it is not
installed, a stand-in takes its place.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

from .answering import answer, quiet_output


class Anything(types.ModuleType):
    """Whatever is asked of Triton while modules are imported; decorators give the function back."""

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(f"{self.__name__}.{name}")

    def __call__(self, *given: object, **_: object) -> object:
        return given[0] if given and callable(given[0]) else self

    def __getitem__(self, _: object) -> Anything:
        return self

    def __mro_entries__(self, _: object) -> tuple[type, ...]:
        return (object,)


class StandIn(MetaPathFinder, Loader):
    """Finds `triton` and all that is in it."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002 - importlib's signature
        return ModuleSpec(fullname, self, is_package=True) if fullname.partition(".")[0] == "triton" else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = Anything(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to run."""


def main() -> None:
    """Loaded late: it must not write to our answers, and it needs the stand-in. The one rule across flags that the
    house has to keep (arg_groups/lora_hook.py) is checked too.
    """
    answers = quiet_output()
    if importlib.util.find_spec("triton") is None:
        sys.meta_path.insert(0, StandIn())
    parser = argparse.ArgumentParser(prog="sglang")
    importlib.import_module("sglang.srt.server_args").ServerArgs.add_cli_args(parser)

    def parse(words: list[str]) -> argparse.Namespace:
        parsed = parser.parse_args(words)
        if parsed.enable_lora and not (parsed.lora_paths or (parsed.max_lora_rank and parsed.lora_target_modules)):
            raise ValueError("without --lora-paths, LoRA needs both --max-lora-rank and --lora-target-modules")
        return parsed

    answer(parse, answers)


if __name__ == "__main__":
    main()
