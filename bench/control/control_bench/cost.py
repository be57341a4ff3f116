"""CPU time and memory of processes, from /proc."""

import os

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def _fields(pid):
    with open("/proc/%d/stat" % pid) as file:
        return file.read().rpartition(")")[2].split()


def children(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(word) for word in file.read().split()]


def cpu_s(*pids):
    """User and system time of all threads."""
    total = 0
    for pid in pids:
        fields = _fields(pid)
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


def resident_kb(pid):
    with open("/proc/%d/status" % pid) as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))
