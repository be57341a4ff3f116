"""Medians over rounds, ratios to the best peer, and the distance to the targets."""

import statistics

ROWS = [
    # figure, label, digits, is higher better
    ("connect_cpu_us", "CPU us per new connection", 1, False),
    ("request_cpu_us", "CPU us per keep-alive request (64)", 1, False),
    ("bulk_cpu_s_gb", "CPU s per GB, bulk", 2, False),
    ("idle_kb", "KB per idle connection pair", 1, False),
    ("process_mb", "MB per idle process", 1, False),
    ("bulk_mb_s", "MB/s bulk", 0, True),
    ("requests_s", "requests/s (64)", 0, True),
    ("connects_s", "new connections/s", 0, True),
    ("p50_us", "us p50, open loop", 0, False),
    ("p99_us", "us p99, open loop", 0, False),
    ("p999_us", "us p99.9, open loop", 0, False),
    ("mixed_p50_us", "us p50 beside downloads", 0, False),
    ("mixed_p99_us", "us p99 beside downloads", 0, False),
    ("mixed_mb_s", "MB/s of those downloads", 0, True),
]

# Targets: a ratio to the best peer of the run, or an absolute figure.
TARGET_RATIOS = {"connect_cpu_us": 0.10, "request_cpu_us": 0.6, "bulk_cpu_s_gb": 0.95}
TARGET_FIGURES = {"idle_kb": 4.0, "process_mb": 8.0}


def medians(rounds):
    """[{figure: value}] of one pair to {figure: median}."""
    figures = {figure for one in rounds for figure in one}
    return {figure: statistics.median(one[figure] for one in rounds if figure in one) for figure in figures}


def best_peer(results, figure, is_higher_better, peers):
    """(name, value) of the best of the peers that have this figure, or None."""
    values = [(results[name][figure], name) for name in peers if figure in results.get(name, {})]
    if not values:
        return None
    value, name = max(values) if is_higher_better else min(values)
    return name, value


def _cell(value, digits, best, is_peer):
    if value is None:
        return "-"
    text = "%.*f" % (digits, value)
    return text if best is None or is_peer is None or not best[1] else "%s (%.2f)" % (text, value / best[1])


def table(title, results, baselines, peers):
    """results: {pair: {figure: median}}, as Markdown. In brackets: the ratio to the best peer."""
    lines = ["### " + title, "", "| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for figure, label, digits, is_higher_better in ROWS:
        if not any(figure in figures for figures in results.values()):
            continue
        best = best_peer(results, figure, is_higher_better, peers)
        cells = [_cell(results[name].get(figure), digits, best, None if name in baselines else True) for name in results]
        lines.append("| %s | %s |" % (label, " | ".join(cells)))
    return "\n".join(lines) + "\n"


def verdicts(results, ours, peers):
    """One line per target and pair of Handfast's: reached or not, and the figure."""
    lines = []
    for name in (name for name in ours if name in results):
        for figure, label, digits, _ in ROWS:
            value = results[name].get(figure)
            if value is not None and figure in TARGET_FIGURES:
                lines.append(_verdict(name, label, value, TARGET_FIGURES[figure], digits, ""))
            best = best_peer(results, figure, False, peers)
            if value is not None and figure in TARGET_RATIOS and best:
                lines.append(_verdict(name, label, value / best[1], TARGET_RATIOS[figure], 2, " of %s's" % best[0]))
    return "\n".join(lines) + "\n" if lines else ""


def _verdict(name, label, value, target, digits, of_whom):
    state = "reached" if value <= target else "NOT reached"
    return "- %s, %s: %.*f%s, wanted <= %s: %s" % (name, label, digits, value, of_whom, target, state)
