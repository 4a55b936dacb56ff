"""The load generator's command line and report."""

from loadtests.bench.native import Load, decode_report


def test_flags_appear_only_where_wanted() -> None:
    """load.c knows a flag by its presence."""
    words = Load(connections=4, ms=100, stream=True).arguments()

    assert [word for word in words if word in {"--stream", "--fresh", "--drop"}] == ["--stream"]


def test_a_report_without_samples_is_read() -> None:
    """A storm answers nothing: its quantiles are null."""
    counts = ["seconds", "requests", "unfinished", "errors", "refused", "bad_status"]
    counts += ["cut", "dropped", "reconnects", "bytes", "events", "rate"]
    text = ",".join([*(f'"{name}":0' for name in counts), '"latency_ms":null,"ttft_ms":null,"itl_ms":null'])

    assert decode_report(f"{{{text}}}".encode()).latency_ms is None
