"""CPU time and memory of processes, as the kernel counts them."""

import os

_TICKS = os.sysconf("SC_CLK_TCK")


def _children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def with_children(pids):
    """These processes and their children (nginx serves in a child)."""
    found = list(pids)
    for pid in found:
        found += [child for child in _children(pid) if child not in found]
    return found


def cpu_s(pids):
    """utime + stime of all threads, in seconds."""
    ticks = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid) as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _rollup(pid):
    with open("/proc/%d/smaps_rollup" % pid) as file:
        rows = [line.split() for line in file]
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) == 3 and row[2] == "kB"}


def pss_kb(pids):
    return sum(_rollup(pid)["Pss"] for pid in pids)


def largest_rss_kb(pids):
    return max(_rollup(pid)["Rss"] for pid in pids)
