"""Programs that are killed, stopped, upgraded, restarted, or sent SIGHUP to read their settings again."""

import os
import signal
import time

from handfast_harness import wait_until

from soak.fault import CONTROLS, Fault, OfASidecar, duration
from soak.traffic import MESHED, OPENING, STANDING


class KillSidecar(OfASidecar):
    """kill -9, and a start after it. What is open is reset, never ended; what is new is refused until it is back."""

    name, parameters = "kill_sidecar", staticmethod(duration(0, 3))
    phases, how = (OPENING, STANDING), ("reset", "refused")

    def do(self):
        self.sidecar.kill()

    def undo(self):
        self.sidecar.launch()


class UpgradeSidecar(OfASidecar):
    """A new process takes over. Nothing fails."""

    name, parameters = "upgrade_sidecar", staticmethod(duration(0, 1))

    def do(self):
        self.world.former.append((self.sidecar.upgrade(30), time.monotonic()))

    def undo(self):
        pass


class KillUpgrade(KillSidecar):
    """kill -9 of a process that takes over, at any moment of it. Before it has, nothing fails; after it, as kill_sidecar."""

    name, was_taken = "kill_upgrade", False

    @staticmethod
    def parameters(random_of):
        return {**duration(0, 2)(random_of), "after_s": round(random_of.uniform(0, 0.2), 3)}

    def causes(self):
        return super().causes() if self.was_taken else ()

    def do(self):
        before, since = self.sidecar.process, len(self.sidecar.process.log())
        log = lambda: before.log()[since:]
        late = self.sidecar.prepare()
        time.sleep(self.after_s)  # duration: until the moment of the kill
        late.kill()
        ends = ("; this process continues to serve", "serves from now on; ending")
        wait_until("the process before to notice it", lambda: "prepares to take over" not in log() or any(end in log() for end in ends), 30)
        self.was_taken = ends[1] in log()
        if self.was_taken:
            self.world.story.own(before)
            self.world.former.append((before, time.monotonic()))
            self.sidecar.process = late

    def undo(self):
        if self.was_taken:
            self.sidecar.launch()


class StopSidecar(OfASidecar):
    """SIGSTOP and SIGCONT. A caller's sidecar that stands still fails nothing; a tunnel that opens to one fails after 2 s."""

    name, parameters, phases = "stop_sidecar", staticmethod(duration(1, 5)), (OPENING,)

    @property
    def how(self):
        return ("reset",) if self.target == "server" else ()

    def causes(self):
        return () if self.target == "client" else (*MESHED, "bystander")

    def do(self):
        self.sidecar.process.signal(signal.SIGSTOP)

    def undo(self):
        self.sidecar.process.signal(signal.SIGCONT)


class KillControl(Fault):
    """kill -9 of the control plane and its signer. Nothing fails."""

    name, parameters, every_control = "kill_control", staticmethod(duration(0, 3)), True

    def do(self):
        self.world.controls[self.target].kill()

    def undo(self):
        self.world.controls[self.target].start(30)


class StopControl(Fault):
    """SIGSTOP and SIGCONT of the control plane and its signer. Nothing fails."""

    name, parameters, every_control = "stop_control", staticmethod(duration(1, 5)), True

    def _signal(self, number):
        process = self.world.controls[self.target].process
        for pid in [process.pid] + process.children():
            os.kill(pid, number)

    def do(self):
        self._signal(signal.SIGSTOP)

    def undo(self):
        self._signal(signal.SIGCONT)


class ApplicationEnds(Fault):
    """An application behind the server's sidecar is killed, or stopped, and starts again. What it ends ends cleanly, or is reset."""

    name, targets = "application_ends", ("echo", "source", "hash", "nginx")
    phases, how = (OPENING, STANDING), ("reset", "end")
    _USERS = {"echo": ("keep_alive", "dial", "bystander"), "source": ("download",), "hash": ("upload",), "nginx": ("web",)}

    @staticmethod
    def parameters(random_of):
        return {**duration(0, 3)(random_of), "way": random_of.choice(("kill", "stop"))}

    @classmethod
    def touches(cls, target):
        return {"server"}

    def causes(self):
        return self._USERS[self.target]

    def do(self):
        getattr(self.world.applications[self.target], self.way)()

    def undo(self):
        self.world.applications[self.target].start()


class ReloadNginx(Fault):
    """nginx reads its configuration again, with new workers, while it serves. Nothing fails."""

    name, targets, parameters = "reload_nginx", ("nginx",), staticmethod(duration(0, 1))

    @classmethod
    def touches(cls, target):
        return {"server"}

    def do(self):
        self.world.applications["nginx"].reload()

    def undo(self):
        pass


def _signaled(process, text):
    """SIGHUP, and the log of what it took over."""
    since = len(process.log())
    process.signal(signal.SIGHUP)
    wait_until("'%s' in the log after SIGHUP" % text, lambda: text in process.log()[since:], 30)


class _Reload(Fault):
    """`change`: one of CHANGES, what is merged into the settings, and what the log then has."""

    CHANGES = {}

    @classmethod
    def parameters(cls, random_of):
        return {**duration(2, 6)(random_of), "change": random_of.choice(sorted(cls.CHANGES))}

    def programs(self):
        """Those whose settings change."""
        raise NotImplementedError

    def do(self):
        self._before = [(program, program.settings) for program in self.programs()]
        changes, text = self.CHANGES[self.change]
        for program, _ in self._before:
            program.configure(changes)
            _signaled(program.process, text)

    def undo(self):
        for program, settings in self._before:
            program.settings = settings
            program.configure({})
            _signaled(program.process, "the settings were read again")


class ReloadSidecar(_Reload):
    """SIGHUP with other settings: a stricter minimum of the server refuses the plaintext caller, nothing else fails; with an
    error nothing changes."""

    name, targets = "reload_sidecar", ("client", "server", "bystander")
    phases, how = (OPENING, STANDING), ("reset", "refused")
    CHANGES = {"minimum": ({"inbound": {"mode": "strict"}}, "in force now: inbound.mode"),
               "drain": ({"drain_deadline": "40s", "upgrade_deadline": "5m"}, "in force now: "),
               "log": ({"log": {"level": "notice", "format": "json"}}, "in force now: "),
               "error": ({"inbound": {"mode": "nonsense"}}, "nothing was taken over")}

    @property
    def refuses(self):
        return "plain" if self.target == "server" and self.change == "minimum" else None

    def causes(self):
        return (self.refuses,)

    def programs(self):
        return [self.world.mesh.sidecar(self.target)]


class ReloadControl(_Reload):
    """SIGHUP of every control plane with other settings, and back. Nothing fails; with an error nothing changes."""

    name = "reload_control"
    CHANGES = {"leaf_ttl": ({"identity": {"leaf_ttl": "45s"}}, "in force now: "),
               "service": ({"services": [{"name": "another", "address": "203.0.113.250", "identity": "spiffe://cluster.local/ns/default/sa/server",
                                          "ports": [{"port": 9000}]}]}, "in force now: "),
               "error": ({"policy": {"default_mode": "nonsense"}}, "nothing was taken over")}

    @classmethod
    def touches(cls, target):
        return set(CONTROLS)

    def programs(self):
        return list(self.world.controls.values())
