"""Why weights could not be prepared. Each message says what to do; callers show it as it is.

WeightsFailed
├── SourceRefused      the registry's `source` cannot be what was meant
├── FetchFailed        the source was not reached, or does not hold the file
│   ├── Offline        it would have to be fetched, and this machine is told to stay offline
│   └── HostRefused    whoever asks may not have this host asked
├── ChecksumMismatch   the file is another one than the registry or the hub says
├── Damaged            a checkpoint's files contradict each other or themselves
├── NoSpace            the disk is full, or would be
└── ConversionFailed   a tool failed: converting, quantizing or measuring
"""

from __future__ import annotations


class WeightsFailed(Exception):
    """Weights could not be prepared; nothing half-made is taken for whole."""


class SourceRefused(WeightsFailed):
    """The source cannot be used as it is written."""


class FetchFailed(WeightsFailed):
    """The source was not reached, or does not hold what it should."""


class Offline(FetchFailed):
    """The source is not in the cache, and nothing may be fetched."""


class HostRefused(FetchFailed):
    """The source, or where it leads, is inside, and whoever named it is not."""


class ChecksumMismatch(WeightsFailed):
    """The bytes are not the ones that the registry or the hub names."""


class Damaged(WeightsFailed):
    """A checkpoint cannot be what it says it is."""


class NoSpace(WeightsFailed):
    """The disk is full, or would be before the work is done."""


class ConversionFailed(WeightsFailed):
    """A tool that makes or measures a checkpoint failed."""
