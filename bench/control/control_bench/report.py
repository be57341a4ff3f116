"""The results as tables of Markdown, a plot of the growth as text, and the targets."""

WIDTH = 40

# key, heading, how to show it
ROWS = (
    ("enroll_back_ms", "s until all are enrolled from nothing, streams open (p50 / p99 / max)", "seconds"),
    ("enroll_answers_ms", "s until all have their 50 answers (max)", "last_second"),
    ("enroll_cpu_ms", "ms of CPU per enrollment, network process", "number"),
    ("enroll_signer_cpu_ms", "ms of CPU per enrollment, signer", "number"),
    ("enroll_herd_cpu_ms", "ms of CPU per enrollment, the simulated sidecar itself", "number"),
    ("enroll_failed_tries", "tries that failed", "count"),
    ("enroll_others_ms", "ms that a health probe waits meanwhile (p50 / max)", "pair"),
    ("resident_kb", "KB resident per sidecar", "number"),
    ("rest_cpu_percent", "% of a processor at rest", "number"),
    ("push_ms", "ms until all have a new policy (p50 / p99 / max)", "spread"),
    ("push_cpu_us", "us of CPU per sidecar for it", "number"),
    ("ban_ms", "ms until all have a ban (p50 / p99 / max)", "spread"),
    ("reconnect_cpu_ms", "ms of CPU per reconnect of one sidecar", "number"),
    ("crash_listens_ms", "ms until it listens after kill -9", "count"),
    ("crash_back_ms", "s until all are back (p50 / p99 / max)", "seconds"),
    ("crash_cpu_ms", "ms of CPU per sidecar for that", "number"),
    ("crash_others_ms", "ms that a health probe waits meanwhile (p50 / max)", "pair"),
    ("renewals_per_s", "renewals per second, the first ones after all enrolled at once (median / max)", "rate"),
    ("renewal_cpu_ms", "ms of CPU per renewal", "number"),
    ("outage_renewed_ms", "s until all are renewed after the outage (p50 / p99 / max)", "seconds"),
    ("outage_back_ms", "s until all their streams are back (max)", "last_second"),
    ("outage_deferred", "requests that were sent away with a time to retry", "count"),
    ("outage_closed_before_a_handshake", "connections that were closed before a handshake", "count"),
    ("outage_others_ms", "ms that a health probe waits meanwhile (p50 / max)", "pair"),
)

PLOTS = (
    ("s until all are enrolled", lambda r: r["enroll_back_ms"]["max"] / 1000),
    ("s until all are back after kill -9", lambda r: r["crash_back_ms"]["max"] / 1000),
    ("s until all have a new policy", lambda r: r["push_ms"]["max"] / 1000),
    ("MB resident for all sidecars", lambda r: r["resident_kb"] * r["sidecars"] / 1000),
)

# what, figure, target, unit
TARGETS = (
    ("resident bytes per sidecar", lambda r: r["resident_kb"], 40, "KB"),
    ("all enrolled from nothing", lambda r: r["enroll_back_ms"]["max"] / 1000, 20, "s"),
    ("all back after kill -9", lambda r: r["crash_back_ms"]["max"] / 1000, 10, "s"),
    ("all renewed after an outage", lambda r: r["outage_renewed_ms"]["max"] / 1000, 60, "s"),
    ("a reconnect", lambda r: r["reconnect_cpu_ms"], 1, "ms of CPU"),
)


def _shown(value, how):
    if value is None:
        return "-"
    if how == "seconds":
        return " / ".join("%.1f" % (value[key] / 1000) for key in ("p50", "p99", "max"))
    if how == "last_second":
        return "%.1f" % (value["max"] / 1000)
    if how == "spread":
        return " / ".join("%.0f" % value[key] for key in ("p50", "p99", "max"))
    if how == "pair":
        return "%.0f / %.0f" % (value["p50"], value["max"])
    if how == "rate":
        return "%d / %d" % (value[len(value) // 2], value[-1])
    return "%.2f" % value if how == "number" else "%d" % value


def table(results):
    lines = ["| sidecars | %s |" % " | ".join("{:,}".format(one["sidecars"]) for one in results),
             "|---%s|" % ("|---" * len(results))]
    for key, heading, how in ROWS:
        if any(key in one for one in results):
            lines.append("| %s | %s |" % (heading, " | ".join(_shown(one.get(key), how) for one in results)))
    return "\n".join(lines)


def plot(results):
    """Bars of one length per sidecar: equal to the number of sidecars where growth is linear."""
    lines, most = [], max(one["sidecars"] for one in results)
    for heading, figure in PLOTS:
        top = max(figure(one) for one in results)
        lines.append(heading)
        for one in results:
            bar = round(WIDTH * figure(one) / top)
            mark = round(WIDTH * one["sidecars"] / most)
            drawn = "".join("|" if place == mark else "#" if place < bar else " " for place in range(WIDTH + 1))
            lines.append("  %6d %s %.1f" % (one["sidecars"], drawn, figure(one)))
    return "```text\n%s\n```\n`|`: where the bar would end if growth were linear." % "\n".join(lines)


def targets(results):
    last, lines = results[-1], ["| target at {:,} sidecars | measured | |".format(results[-1]["sidecars"]), "|---|---|---|"]
    for what, figure, most, unit in TARGETS:
        try:
            value = figure(last)
        except (KeyError, TypeError):
            continue  # not measured in this run
        lines.append("| %s <= %g %s | %.2f %s | %s |" % (what, most, unit, value, unit,
                                                       "reached" if value <= most else "missed"))
    return "\n".join(lines)


def text(results):
    return "%s\n\n%s\n\n%s\n" % (table(results), plot(results), targets(results))
