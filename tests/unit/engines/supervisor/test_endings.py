"""What an end is called, by lines that engines really write."""

from __future__ import annotations

import pytest

from engines.supervisor.endings import Death, Ending, ending
from registry.causes import Cause

CORE = "(EngineCore_DP0 pid=9) ERROR 10-25 13:08:43 [core.py:708] "
INITIAL = (
    "(APIServer pid=7) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): "
)
LINES = {
    # vLLM's worker/utils.py, core/kv_cache_utils.py; PyTorch's allocator under vLLM's core.
    CORE + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 50.00 MiB.": Cause.DEVICE_OUT_OF_MEMORY,
    CORE + "ValueError: No available memory for the cache blocks. Try": Cause.DEVICE_OUT_OF_MEMORY,
    "ValueError: To serve at least one request with the model's max seq len (8192), (1.0 GiB KV cache is needed, which "
    "is larger than the available KV cache memory (0.5 GiB).": Cause.DEVICE_OUT_OF_MEMORY,
    "ValueError: Free memory on device cuda:0 (3.1/79.1 GiB) on startup is less than desired GPU memory utilization "
    "(0.9, 71.2 GiB).": Cause.DEVICE_OUT_OF_MEMORY,
    "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB.": Cause.DEVICE_OUT_OF_MEMORY,
    # SGLang's pool_configurator.py, mem_cache/allocation.py.
    "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.": Cause.DEVICE_OUT_OF_MEMORY,
    "RuntimeError: Prefill out of memory. Try to lower your batch size.": Cause.DEVICE_OUT_OF_MEMORY,
    "RuntimeError: alloc_req_slots runs out of memory. Please set a smaller": Cause.DEVICE_OUT_OF_MEMORY,
    # LMDeploy: TurboMind, executor/base.py, block_manager.
    "  what():  [TM][ERROR] CUDA runtime error: out of memory /lmdeploy/src/turbomind/utils/memory_utils.cu:32": (
        Cause.DEVICE_OUT_OF_MEMORY
    ),
    "RuntimeError: No enough gpu memory for kv cache.": Cause.DEVICE_OUT_OF_MEMORY,
    "MemoryError: No enough free memory blocks.": Cause.DEVICE_OUT_OF_MEMORY,
    # The machine's memory: PyTorch, Python, C++, numpy, Ray.
    "RuntimeError: [enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
    "to allocate 3077222400 bytes. Error code 12 (Cannot allocate memory)": Cause.OUT_OF_MEMORY,
    "MemoryError": Cause.OUT_OF_MEMORY,
    "terminate called after throwing an instance of 'std::bad_alloc'": Cause.OUT_OF_MEMORY,
    "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9.00 GiB": Cause.OUT_OF_MEMORY,
    "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.": Cause.OUT_OF_MEMORY,
    # CUDA's own words, as vLLM and SGLang print them.
    CORE + "torch.AcceleratorError: CUDA error: an illegal memory access was encountered": Cause.DEVICE_ERROR,
    "[TP0] RuntimeError: CUDA error: device-side assert triggered": Cause.DEVICE_ERROR,
    "RuntimeError: CUDA error: unspecified launch failure": Cause.DEVICE_ERROR,
    "Memory access fault by GPU node-3 (Agent handle: 0x13e852f0) on address 0x77d445e00000.": Cause.DEVICE_ERROR,
    # A device that is gone: NVML, the kernel, CUDA, ROCm.
    "pynvml.NVMLError_GpuIsLost: GPU is lost": Cause.DEVICE_LOST,
    "NVRM: Xid (PCI:0000:44:00): 79, GPU has fallen off the bus.": Cause.DEVICE_LOST,
    "RuntimeError: CUDA error: no CUDA-capable device is detected": Cause.DEVICE_LOST,
    "RuntimeError: CUDA error: uncorrectable ECC error encountered": Cause.DEVICE_LOST,
    "RuntimeError: No CUDA GPUs are available": Cause.CRASHED,
    "RuntimeError: Engine core initialization failed.": Cause.CRASHED,
}


def told(*log: str, how: str = "exited with status 1", **more: object) -> Ending:
    return ending(Death(how, log, on_device=True, **more))


@pytest.mark.parametrize(("line", "cause"), LINES.items(), ids=lambda each: str(each)[:60])
def test_each_engines_own_words_have_a_cause(line: str, cause: Cause) -> None:
    """And what follows in the log does not hide it: the server's own trouble, leaks, the end of a traceback."""
    assert (
        told("INFO loading", line, "RuntimeError: Engine core initialization failed", "leaked objects").cause is cause
    )


def test_the_sentence_says_how_why_and_what_to_do() -> None:
    """Without the engine's prefix."""
    said = told(CORE + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 50.00 MiB.").reason
    assert said.startswith(
        "exited with status 1: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 50.00 MiB."
    )
    assert "enginehouse check" in said
    assert "\n" not in said


def test_what_killed_it_is_not_guessed() -> None:
    """SIGKILL is no proof of anything, whatever the log says of errors in general."""
    said = told("RuntimeError: something else", how="killed by SIGKILL")
    assert (said.cause, said.reason.startswith("killed by SIGKILL; perhaps the kernel's out-of-memory")) == (
        Cause.KILLED,
        True,
    )


def test_the_kernels_count_proves_it() -> None:
    """It ended a process of this worker's since it was last well."""
    said = told(how="killed by SIGKILL", oom_kills=1)
    assert (said.cause, "the kernel's out-of-memory killer ended it" in said.reason) == (Cause.OUT_OF_MEMORY, True)


@pytest.mark.parametrize(
    "line",
    [
        INITIAL + "{'EngineCore_DP0': -9}",
        "ERROR [multiproc_executor.py:316] Worker proc VllmWorker-1 died unexpectedly (exit code: -9), shutting down",
        "WARNING [shutdown] MPClient: engine core exited unexpectedly; starting cleanup",
    ],
)
def test_the_kernel_may_end_a_process_of_the_server(line: str) -> None:
    """The largest is the engine's core: its server goes on for a while, and ends by itself."""
    assert told(line, oom_kills=1).cause is Cause.OUT_OF_MEMORY
    assert told(line).cause is Cause.CRASHED


SIGQUIT = "[2025-08-06 10:11:12] Received sigquit from a child process. It usually means the child failed."


@pytest.mark.parametrize("how", ["exited with status 1", "killed by SIGKILL"])
def test_a_server_that_ends_all_its_processes_was_not_killed_by_the_kernel(how: str) -> None:
    """SGLang's does, itself included, whatever one of them failed by; a neighbour was short of memory meanwhile."""
    said = told("[2025-08-06 TP0] ValueError: bad adapter config", SIGQUIT, how=how, oom_kills=1)
    assert (said.cause, "ValueError: bad adapter config" in said.reason) == (Cause.CRASHED, True)


def test_an_engine_that_is_gone_was_killed_by_the_kernel_only_if_no_error_tells() -> None:
    """The server of vLLM does not say how it went; what it says of its own trouble with that is no other error."""
    gone = ("[shutdown] MPClient: engine core exited unexpectedly", "EngineDeadError: EngineCore encountered an issue.")
    assert told(*gone, oom_kills=1).cause is Cause.OUT_OF_MEMORY
    assert told(CORE + "ValueError: bad adapter config", *gone, oom_kills=1).cause is Cause.CRASHED
    assert told("CUDA out of memory", *gone, oom_kills=1).cause is Cause.DEVICE_OUT_OF_MEMORY


def test_somebody_elses_end_is_not_this_ones() -> None:
    """Workers may share a control group: one that ended for its own reason was not killed."""
    assert told("ValueError: no such model", oom_kills=1).cause is Cause.CRASHED


def test_on_cpu_the_cache_is_in_the_machines_memory() -> None:
    """VLLM's CPU build says it in the words of the GPU's."""
    line = "ValueError: No available memory for the cache blocks."
    assert ending(Death("exited with status 1", (line,))).cause is Cause.OUT_OF_MEMORY


def test_the_last_error_is_the_one_it_did_not_survive() -> None:
    survived, fatal = "torch.OutOfMemoryError: CUDA out of memory.", "CUDA error: an illegal memory access"
    assert told(survived, "200 OK", fatal).cause is Cause.DEVICE_ERROR


def test_what_another_error_follows_was_survived() -> None:
    """The other is why, and is shown."""
    said = told("ERROR MemoryError in request 7", *["INFO"] * 900, "AssertionError: shape mismatch")
    assert said == Ending(Cause.CRASHED, "exited with status 1: AssertionError: shape mismatch")


@pytest.mark.parametrize(
    "after",
    [
        "Exception: WorkerProc initialization failed. See stack trace for root cause.",
        "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.",
        "RuntimeError: Process ApiServer_0 (PID: 7) died with exit code 1",
        "[rank1]: torch.distributed.DistBackendError: NCCL error",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
        "KeyError: '/psm_1a2b3c4d'",
        "ERROR:    Exception in ASGI application",
    ],
)
def test_what_others_say_of_the_end_is_no_other_error(after: str) -> None:
    """Nor is a traceback that Python ties to the one before it."""
    assert told("MemoryError", after).cause is Cause.OUT_OF_MEMORY
    tied = "During handling of the above exception, another exception occurred:"
    assert told("MemoryError", tied, "ValueError: no weights").cause is Cause.OUT_OF_MEMORY
    assert told("MemoryError", tied, "ValueError: no weights", "ValueError: more").cause is Cause.CRASHED


def test_before_it_was_well_only_a_lost_device_counts() -> None:
    """It lived on with everything else; a lost device shows with the next request."""
    old = ("CUDA out of memory: request refused", "RuntimeError: CUDA error: unspecified launch failure")
    assert told("INFO", before=old, how="it hangs", ours=True) == Ending(Cause.UNRESPONSIVE, "it hangs")
    assert told("RuntimeError: CUDA error: unknown error", before=("GPU is lost",)).cause is Cause.DEVICE_LOST


def test_a_lost_device_comes_before_what_follows_from_it() -> None:
    """Whatever is tried on it fails too."""
    assert told("GPU is lost", "RuntimeError: CUDA error: unspecified launch failure").cause is Cause.DEVICE_LOST


def test_what_we_ended_is_called_so() -> None:
    """Unless its log says why it did not answer."""
    how = "ended, as it was dead: /health answered 503"
    assert told("INFO", how=how, ours=True) == Ending(Cause.UNRESPONSIVE, how)
    assert told("CUDA error: device-side assert triggered", how=how, ours=True).cause is Cause.DEVICE_ERROR


def test_a_crash_is_told_by_its_last_error() -> None:
    assert told("ValueError: too long", "bye") == Ending(Cause.CRASHED, "exited with status 1: ValueError: too long")
    assert told("bye") == Ending(Cause.CRASHED, "exited with status 1")
