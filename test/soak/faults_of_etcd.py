"""The members of etcd, which is the store of several control planes."""

import signal

from handfast_harness import wait_until

from soak.arrangement import ETCD
from soak.fault import CONTROLS, Fault, duration


class _OfEtcd(Fault):
    """Nothing fails: reads never wait for etcd, and changes wait for a majority. `target`: a member, or the one that leads."""

    targets, promise_s, parameters = (*ETCD, "leader"), 30.0, staticmethod(duration(1, 6))

    @classmethod
    def targets_of(cls, num_controls):
        return cls.targets if num_controls > 1 else ()

    @classmethod
    def touches(cls, target):
        return {"etcd"}

    def causes(self):
        return ()

    def _find(self):
        """The member that it is about, which stays the same until undo()."""
        etcd = self.world.etcd
        if self.target != "leader":
            return next(member for member in etcd.members if member.name == self.target)
        return wait_until("etcd to have a leader", etcd.leader, 20, 0.3)

    def do(self):
        self.member = self._find()
        self.breaks()

    def breaks(self):
        raise NotImplementedError

    def what_lacks(self):
        return super().what_lacks() or self.world.what_store_lacks()


class KillEtcd(_OfEtcd):
    """kill -9 of a member of etcd, and a start after it. Nothing fails."""

    name = "kill_etcd"

    def breaks(self):
        self.member.kill()

    def undo(self):
        self.member.launch()


class StopEtcd(_OfEtcd):
    """SIGSTOP and SIGCONT of a member of etcd. Nothing fails."""

    name = "stop_etcd"

    def breaks(self):
        self.member.process.signal(signal.SIGSTOP)

    def undo(self):
        self.member.process.signal(signal.SIGCONT)


class EtcdLinkDown(_OfEtcd):
    """The link of a member of etcd is down. Nothing fails."""

    name = "etcd_link_down"

    def breaks(self):
        self.world.mesh.net.router.ip("link set to-%s down" % self.member.name)

    def undo(self):
        self.world.mesh.net.router.ip("link set to-%s up" % self.member.name)


class EtcdWithoutMajority(_OfEtcd):
    """Two of three members of etcd stand still, for longer than a control plane waits before it sends its sidecars away. Nothing fails."""

    name, targets, parameters = "etcd_majority", ("etcd",), staticmethod(duration(1, 14))

    @classmethod
    def touches(cls, target):
        return {"etcd", "ca", "disk of control", *CONTROLS}

    def do(self):
        for member in self.world.etcd.members[:2]:
            member.process.signal(signal.SIGSTOP)

    def undo(self):
        for member in self.world.etcd.members[:2]:
            member.process.signal(signal.SIGCONT)
