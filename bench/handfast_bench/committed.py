"""The committed table: the medians of a run as JSON, and whether a later run is worse than it."""

import json

from . import summary

# Rates and latencies of the same programs differ by more than this between two runs; CPU and memory do not.
CHECKED = ("connect_cpu_us", "request_cpu_us", "bulk_cpu_s_gb", "idle_kb", "process_mb")
WORSE_BY = 0.10


def read(path):
    with open(path) as file:
        return json.load(file)


def write(path, tables):
    """tables: {congestion: {pair: {figure: median}}}"""
    rounded = {congestion: {pair: {figure: float("%.4g" % value) for figure, value in sorted(figures.items())}
                            for pair, figures in sorted(pairs.items())} for congestion, pairs in tables.items()}
    with open(path, "w") as file:
        json.dump(rounded, file, indent=1)
        file.write("\n")


def _ratio(results, pair, figure, peers):
    """To the best of the peers that both runs have, so that a peer that is missing is no change of ours."""
    best = summary.best_peer(results, figure, False, peers)
    return results[pair][figure] / best[1] if best and figure in results.get(pair, {}) else None


def findings(before, now, ours, peers):
    """One line per ratio to the best peer that is worse by more than a tenth, and per ratio that is gone. before, now:
    {congestion: {pair: {figure: value}}}; what `now` did not measure is not judged."""
    lines = []
    for congestion in sorted(set(before) & set(now)):
        then, today = before[congestion], now[congestion]
        common = [peer for peer in peers if peer in then and peer in today]
        for pair in (pair for pair in ours if pair in then and pair in today):
            for figure in CHECKED:
                old, new = _ratio(then, pair, figure, common), _ratio(today, pair, figure, common)
                if old is not None and new is not None and new > old * (1 + WORSE_BY):
                    lines.append("%s, %s, %s: %.3f of the best peer's, in the committed table %.3f" %
                                 (congestion, pair, figure, new, old))
    return lines


def is_comparable(before, now, ours, peers):
    """Whether any ratio can be compared: else a check that finds nothing has looked at nothing."""
    return any(_ratio(before[congestion], pair, figure, [peer for peer in peers if peer in now[congestion]]) is not None
               and _ratio(now[congestion], pair, figure, [peer for peer in peers if peer in before[congestion]]) is not None
               for congestion in set(before) & set(now) for pair in ours for figure in CHECKED)
