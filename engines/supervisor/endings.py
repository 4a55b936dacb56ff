"""Why a worker ended, in a word and in a sentence: from how its process ended, its log and the kernel's count. Pure.

Called by `inquest`. What is not known is not said: SIGKILL alone is no proof that memory was short, and a line of the
log counts only if it is one that an engine, PyTorch or a driver is known to write. Their sources:

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

from engines.supervisor import logfile
from registry.causes import Cause

_LONGEST_QUOTE: Final = 200

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

_CHILD_KILLED: Final = re.compile(
    r"Failed core proc\(s\): \{.*-9\b|\(exit code: -9\)|with code -9\b"
    r"|engine core exited unexpectedly|Received sigquit from a child process"
)
"""The server lives, and says that a process of its own does not. The last two say it of any end."""

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
    """`process.meaning`, or why we ended it ourselves."""
    log: Sequence[str] = ()
    """The end of what it wrote."""
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
    killed = "SIGKILL" in death.how
    if death.oom_kills and (killed or any(_CHILD_KILLED.search(line) for line in death.log)):
        return _ended(death, Cause.OUT_OF_MEMORY, "the kernel's out-of-memory killer ended it")
    cause, line = _told(death.log)
    if cause is Cause.DEVICE_OUT_OF_MEMORY and not death.on_device:
        cause = Cause.OUT_OF_MEMORY  # vLLM on CPU speaks of its cache as on a GPU
    if cause is not None:
        return _ended(death, cause, logfile.bare(line)[:_LONGEST_QUOTE])
    if killed:
        return _ended(death, Cause.KILLED, "")
    said = logfile.telling(death.log[-logfile.SHOWN :])
    return Ending(Cause.UNRESPONSIVE if death.ours else Cause.CRASHED, f"{death.how}: {said}" if said else death.how)


def _told(log: Sequence[str]) -> tuple[Cause | None, str]:
    """What the log says. A lost device makes other errors too; of the rest the last is the one it did not survive."""
    found = [(cause, line) for line in log for cause in _TELLING if _TELLING[cause].search(line)]
    lost = [each for each in found if each[0] is Cause.DEVICE_LOST]
    return next(iter(lost[-1:] or _last(found)), (None, ""))


def _last(found: Sequence[tuple[Cause, str]]) -> list[tuple[Cause, str]]:
    """The last line that tells, by the first cause that it names."""
    return [next(each for each in found if each[1] is found[-1][1])] if found else []


def _ended(death: Death, cause: Cause, said: str) -> Ending:
    told = f"{death.how}: {said}" if said else death.how
    return Ending(cause, f"{told.rstrip('.')}. What helps: {_ADVICE[cause]}" if said else f"{told}; {_ADVICE[cause]}")
