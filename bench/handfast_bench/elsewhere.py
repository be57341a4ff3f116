"""Figures of proxies that this benchmark does not start. They are shown beside the others and never compared with."""

LABEL = "measured elsewhere"

# ztunnel as a pair under these loads, on a quiet machine with two cores: medians of three rounds.
ZTUNNEL = {
    "bbr": {"connect_cpu_us": 211.0, "request_cpu_us": 39.5, "bulk_cpu_s_gb": 1.65, "idle_kb": 11.0, "process_mb": 17.0,
            "mixed_p99_us": 55000},
    "reno": {"connect_cpu_us": 286.0, "request_cpu_us": 44.8, "bulk_cpu_s_gb": 1.70, "idle_kb": 11.0, "process_mb": 17.0,
             "mixed_p99_us": 47000},
}


def figures(congestion, measured):
    """{name: {figure: value}} of what is known for this congestion control; only figures that a pair of the run has."""
    known = {figure: value for figure, value in ZTUNNEL.get(congestion, {}).items()
             if any(figure in figures for figures in measured.values())}
    return {"ztunnel (%s)" % LABEL: known} if known else {}
