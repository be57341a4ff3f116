"""A system call that a running program of ours does not make by itself: by ptrace it makes the call at the place where it
stands, as code would that took it over. A debugger of root's gets past all that keeps others from attaching.

    death_by(pid, "execve")               of a process that runs: the signal that ends it, or what the call returned, below 0
    deaths_of(argv, calls, ...)           the same for a program from its start, once per call, as soon as it has a filter"""

import contextlib
import ctypes
import os
import signal
import subprocess

from .expect import StoryFailure, wait_until
from .namespace import environment

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_TRACEME, _PEEKTEXT, _CONT, _DETACH, _SYSCALL, _SETOPTIONS = 0, 1, 7, 17, 24, 0x4200
_GETREGSET, _SETREGSET, _SEIZE, _INTERRUPT = 0x4204, 0x4205, 0x4206, 0x4207
_EXITKILL, _SYSGOOD = 1 << 20, 1
_PRSTATUS, _ARM_SYSTEM_CALL = 1, 0x404
_LEN = 27 * 8 if os.uname().machine == "x86_64" else 34 * 8

# {call: (number, first arguments)} of those that are tried; none of them would do anything if it were let through.
_NUMBERS = {
    "x86_64": {"execve": 59, "ptrace": 101, "mount": 165, "bpf": 321, "unshare": 272, "setns": 308, "io_uring_setup": 425,
               "memfd_create": 319, "setuid": 105, "init_module": 175, "perf_event_open": 298, "process_vm_readv": 310,
               "socket": 41, "userfaultfd": 323, "keyctl": 250, "mount_setattr": 442, "clone3": 435},
    "aarch64": {"execve": 221, "ptrace": 117, "mount": 40, "bpf": 280, "unshare": 97, "setns": 268, "io_uring_setup": 425,
                "memfd_create": 279, "setuid": 146, "init_module": 105, "perf_event_open": 241, "process_vm_readv": 270,
                "socket": 198, "userfaultfd": 282, "keyctl": 219, "mount_setattr": 442, "clone3": 435},
}[os.uname().machine]


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


def _ptrace(request, pid, address=0, data=0):
    ctypes.set_errno(0)
    result = _libc.ptrace(request, pid, address, data)
    if ctypes.get_errno():
        raise OSError(ctypes.get_errno(), "ptrace request %d of %d" % (request, pid))
    return result


def _registers(pid, request, values=None, kind=_PRSTATUS, length=_LEN):
    buffer = (ctypes.c_uint64 * (length // 8))(*(values or []))
    _ptrace(request, pid, kind, ctypes.addressof(_Vector(ctypes.addressof(buffer), length)))
    return list(buffer)


def _stands_after_a_call(pid):
    """Whether the instruction before the present one is the one that makes system calls."""
    registers = _registers(pid, _GETREGSET)
    if os.uname().machine == "x86_64":
        return _ptrace(_PEEKTEXT, pid, registers[16] - 2) & 0xffff == 0x050f
    return _ptrace(_PEEKTEXT, pid, registers[32] - 4) & 0xffffffff == 0xd4000001


def _prepare(pid, call):
    """The next thing that the process does is this call, with arguments that are 0."""
    registers = _registers(pid, _GETREGSET)
    if os.uname().machine == "x86_64":
        registers[16] -= 2
        registers[10], registers[15] = _NUMBERS[call], 2 ** 64 - 1  # rax; orig_rax: no call is begun anew
        registers[12] = registers[13] = registers[14] = 0
    else:
        registers[32] -= 4
        registers[8] = _NUMBERS[call]
        registers[0] = registers[1] = registers[2] = 0
        with contextlib.suppress(OSError):
            _ptrace(_SETREGSET, pid, _ARM_SYSTEM_CALL, ctypes.addressof(_Vector(
                ctypes.addressof(ctypes.c_int32(-1)), 4)))
    _registers(pid, _SETREGSET, registers)


def _next_stop(pid):
    """(the signal that ended it, None) or (None, the signal of its stop)."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
    if found.si_code in (os.CLD_KILLED, os.CLD_DUMPED, os.CLD_EXITED):
        return (0 if found.si_code == os.CLD_EXITED else found.si_status), None
    _, status = os.waitpid(pid, 0)
    return None, os.WSTOPSIG(status)


def _make(pid, call):
    """The signal that it ends by; 0 or less: what the call returned."""
    _prepare(pid, call)
    stopped = signal.SIGTRAP
    num_stops = 0  # the entry of the call, then its exit
    for _ in range(20):
        _ptrace(_SYSCALL, pid, 0, stopped if stopped != signal.SIGTRAP else 0)
        ended, stopped = _next_stop(pid)
        if ended is not None:
            return ended
        num_stops += stopped == signal.SIGTRAP | 0x80
        if num_stops == 2 and _result(pid) != _NUMBERS[call]:  # else it is being ended
            return _result(pid)
        stopped = signal.SIGTRAP if stopped & 0x7f == signal.SIGTRAP else stopped
    raise StoryFailure("%d neither ended by %s nor returned from it" % (pid, call))


def _result(pid):
    registers = _registers(pid, _GETREGSET)
    return ctypes.c_int64(registers[10 if os.uname().machine == "x86_64" else 0]).value


def num_filters(pid):
    with open("/proc/%s/status" % pid) as file:
        return int(next(line.split()[1] for line in file if line.startswith("Seccomp_filters:")))


def death_by(pid, call):
    with open("/proc/%d/status" % pid) as file:
        is_ours = "PPid:\t%d\n" % os.getpid() in file.read()
    _ptrace(_SEIZE, pid, 0, _SYSGOOD)
    _ptrace(_INTERRUPT, pid)
    ended, _ = _next_stop(pid)
    for _ in range(0 if ended is not None or _stands_after_a_call(pid) else 2):  # the entry of its next call, and its exit
        _ptrace(_SYSCALL, pid)
        ended, _ = _next_stop(pid)
    if ended is not None:
        return ended
    ended = _make(pid, call)
    if ended <= 0:
        os.kill(pid, signal.SIGKILL)
    if not is_ours:  # else its Process waits for it
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return ended


def _trace_me():
    _libc.ptrace(_TRACEME, 0, None, None)


def _run_to_filter(program, pid):
    """False: it ended before it had one."""
    before, is_first = num_filters("self"), True
    while True:
        ended, stopped = _next_stop(pid)
        if ended is not None:
            return False
        if is_first:
            _ptrace(_SETOPTIONS, pid, 0, _SYSGOOD | _EXITKILL)
        is_first = False
        if os.path.basename(os.readlink("/proc/%d/exe" % pid)) == program and num_filters(pid) > before:
            return True
        _ptrace(_SYSCALL, pid, 0, stopped if stopped & 0x7f != signal.SIGTRAP else 0)


def deaths_of(argv, calls, program=None, stdin=subprocess.DEVNULL, env=None):
    """{call: the signal that ends it}. argv may begin with programs that become the one that is meant: its name, else that
    of argv[0]. A fresh process for each call."""
    deaths = {}
    for call in calls:
        child = subprocess.Popen([str(word) for word in argv], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 env=environment(env), preexec_fn=_trace_me)
        try:
            if not _run_to_filter(program or os.path.basename(argv[0]), child.pid):
                raise StoryFailure("%s ended before it had a filter: %s" % (argv, child.communicate()[0].decode()))
            deaths[call] = _make(child.pid, call)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.communicate()
    return deaths


def wait_for_filter(pid, num=1):
    before = num_filters("self")
    wait_until("%d system call filters of %d" % (num, pid), lambda: num_filters(pid) >= before + num)
