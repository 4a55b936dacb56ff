"""Why a worker ended, in a word and in a sentence: from how its process ended, its log and the kernel's count. Pure.

Called by `inquest`. What is not known is not said: SIGKILL alone is no proof that memory was short, and a line of the
log counts only if it is one that an engine, PyTorch or a driver is known to write, and if the worker did not live on:
it was not found well since, and no other error followed. Their sources:

vLLM 0.32: v1/core/kv_cache_utils.py, v1/worker/utils.py, v1/engine/utils.py, v1/executor/multiproc_executor.py. SGLang
0.5.23: srt/model_executor/pool_configurator.py, srt/mem_cache/allocation.py, srt/entrypoints/engine.py. LMDeploy 0.18:
pytorch/engine/executor/base.py, pytorch/paging/block_manager/base_block_manager.py, and TurboMind's
src/turbomind/utils/memory_utils.cu. PyTorch: c10/cuda/CUDACachingAllocator.cpp, c10/core/impl/alloc_cpu.cpp. CUDA's
errors are `cudaGetErrorString`'s; NVML's are nvidia-ml-py's; Ray's are its memory monitor's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engines.processes import logfile
from registry.causes import Cause

_LONGEST_QUOTE: Final = 200
_KERNEL: Final = "the kernel's out-of-memory killer ended it"

_TELLING: Final[Mapping[Cause, re.Pattern[str]]] = {
    Cause.DEVICE_LOST: re.compile(
        r"NVML_ERROR_GPU_IS_LOST|NVMLError_GpuIsLost|GPU is lost|fallen off the bus"
        r"|Unable to determine the device handle"
        r"|no CUDA-capable device is detected|CUDA-capable device\(s\) is/are busy or unavailable"
        r"|uncorrectable (ECC|NVLink) error|HW Exception by GPU node|No HIP GPUs are available"
    ),
    Cause.DEVICE_OUT_OF_MEMORY: re.compile(
        r"(CUDA|HIP|XPU|NPU|MUSA) out of memory|(CUDA|HIP) (runtime )?error: out of memory|\[CUDA\]: out of memory"
        r"|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED"
        r"|No available memory for the cache blocks|larger than the available KV cache memory"
        r"|Free memory on device .* is less than"
        r"|Not enough memory\. Please try to increase --mem-fraction-static"
        r"|(Prefill|Decode) out of memory|alloc_req_slots runs out of memory|Out of memory even after retracting"
        r"|No enough gpu memory|No enough free memory blocks"
    ),
    Cause.OUT_OF_MEMORY: re.compile(
        r"DefaultCPUAllocator: (can't allocate|not enough) memory|Cannot allocate memory|std::bad_alloc"
        r"|\b_?(Array)?MemoryError\b|due to the node running low on memory"
    ),
    Cause.DEVICE_ERROR: re.compile(
        r"(CUDA|HIP) (runtime )?error: (an illegal memory access|device-side assert|unspecified launch failure"
        r"|misaligned address|an illegal instruction|the launch timed out|invalid program counter|hardware stack error)"
        r"|Memory access fault by GPU node|HSA_STATUS_ERROR"
    ),
}
"""By cause: what its lines have in them. Of several in one line the first counts."""

_CHILD_KILLED: Final = re.compile(r"Failed core proc\(s\): \{.*-9\b|\(exit code: -9\)|with code -9\b")
"""The server lives, and says that SIGKILL ended a process of its own."""
_CHILD_ENDED: Final = re.compile(r"engine core exited unexpectedly")
"""The same of any end of it."""
_OWN_HAND: Final = re.compile(r"Received sigquit from a child process")
"""SGLang's server, of which a process failed, then sends SIGKILL to all of them and to itself."""

_ERROR: Final = re.compile(r"(\[[^\]]*\]:?\s*)*[\w.]*(Error|Exception)(:|$)")
"""How a Python traceback ends, behind what engines put before each line."""
_AFTERMATH: Final = re.compile(
    r"EngineDeadError|EngineGenerateError|(core|WorkerProc) initialization failed|root cause|Worker failed with error"
    r"|Executor failed|failed to initialize"
    r"|died (unexpectedly|with exit code)|scheduler (died|is dead)|ActorDiedError|DistBackendError|CancelledError"
    r"|RuntimeError: cancelled|KeyError: '/(psm_|mp-)|Connection\w*Error|BrokenPipeError|EOFError|IncompleteReadError"
)
"""What a process says that has lost another one."""
_SAME: Final = re.compile(
    r"During handling of the above exception|The above exception was the direct cause|Exception ignored in"
)
"""The traceback that comes next is of the same end."""

_ADVICE: Final[Mapping[Cause, str]] = {
    Cause.OUT_OF_MEMORY: "a smaller `context`, fewer `adapters.slots`, requests at once or models, or smaller weights "
    "(`quantization`) need less of the machine's memory: `enginehouse check` shows who takes what",
    Cause.DEVICE_OUT_OF_MEMORY: "a smaller `context`, fewer `adapters.slots`, requests at once or models on the "
    "device, or smaller weights (`quantization`) need less of its memory: `enginehouse check` shows who takes what, "
    "and `nvidia-smi` who else has some",
    Cause.DEVICE_LOST: "`nvidia-smi` and the kernel's log (`dmesg`) say more; the device may have to be reset, or the "
    "machine restarted",
    Cause.DEVICE_ERROR: "a new process usually finds the device well; if it comes back, the log says where, and the "
    "kernel's (`dmesg`) whether the device is broken",
    Cause.KILLED: "perhaps the kernel's out-of-memory killer, perhaps somebody: the kernel's log (`dmesg`) knows",
}


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended, as far as it shows."""

    how: str
    """`keeping.meaning`, or why we ended it ourselves."""
    log: Sequence[str] = ()
    """What it wrote since it was last well, the end of it."""
    before: Sequence[str] = ()
    """What it wrote before that, and since it last made a token for us."""
    ours: bool = False
    """Whether we ended it."""
    oom_kills: int = 0
    """How many processes the kernel ended for want of memory since it was last well."""
    on_device: bool = False
    """Whether it computes on an accelerator, with memory of its own."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why it ended. `reason` is one line, for people."""

    cause: Cause
    reason: str


def ending(death: Death) -> Ending:
    """Why. The kernel's count comes first, for who is killed writes nothing; then the last line that tells."""
    killed = "SIGKILL" in death.how and not _says(death.log, _OWN_HAND)
    if death.oom_kills and (killed or _says(death.log, _CHILD_KILLED)):
        return _ended(death, Cause.OUT_OF_MEMORY, _KERNEL)
    cause, line = _told(death)
    if cause is Cause.DEVICE_OUT_OF_MEMORY and not death.on_device:
        cause = Cause.OUT_OF_MEMORY  # vLLM on CPU speaks of its cache as on a GPU
    if cause is not None:
        return _ended(death, cause, logfile.bare(line)[:_LONGEST_QUOTE])
    if death.oom_kills and _says(death.log, _CHILD_ENDED) and not _another(death.log):
        return _ended(death, Cause.OUT_OF_MEMORY, _KERNEL)
    if killed:
        return _ended(death, Cause.KILLED, "")
    said = logfile.telling(death.log[-logfile.SHOWN :])
    return Ending(Cause.UNRESPONSIVE if death.ours else Cause.CRASHED, f"{death.how}: {said}" if said else death.how)


def _says(log: Sequence[str], words: re.Pattern[str]) -> bool:
    return any(words.search(line) for line in log)


def _told(death: Death) -> tuple[Cause | None, str]:
    """What the log says. A lost device stays lost, and makes other errors; of the rest the last is the end, if any.

    A worker may live on with a lost device until a request needs it. It does not live on with what ended it: not until
    it was found well, and not until another error.
    """
    lost = _TELLING[Cause.DEVICE_LOST]
    for line in (*reversed(death.log), *reversed(death.before)):
        if lost.search(line):
            return Cause.DEVICE_LOST, line
    for place in reversed(range(len(death.log))):
        line = death.log[place]
        for cause, words in _TELLING.items():
            if words.search(line):
                return (None, "") if _another(death.log[place + 1 :]) else (cause, line)
    return None, ""


def _another(log: Sequence[str]) -> bool:
    """Whether these lines tell of another error than the one before them."""
    same = False
    for line in log:
        if _SAME.search(line):
            same = True
        elif _ERROR.match(logfile.bare(line)):
            if not same and not _AFTERMATH.search(line):
                return True
            same = False
    return False


def _ended(death: Death, cause: Cause, said: str) -> Ending:
    told = f"{death.how}: {said}" if said else death.how
    return Ending(cause, f"{told.rstrip('.')}. What helps: {_ADVICE[cause]}" if said else f"{told}; {_ADVICE[cause]}")
