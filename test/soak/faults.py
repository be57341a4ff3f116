"""The faults of a soak, one class each: what it does, how it is undone, and what it may cause (fault.py).

TABLE["kill_sidecar"](world, "client", duration_s=1.5).do(); ...undo(); what_lacks() == "" when it has recovered"""

from soak.faults_of_etcd import EtcdLinkDown, EtcdWithoutMajority, KillEtcd, StopEtcd
from soak.faults_of_hosts import BootClock, DiskFull, LinkDown, Loss, RulesGone, SetClock
from soak.faults_of_programs import (ApplicationEnds, KillControl, KillSidecar, KillUpgrade, ReloadControl, ReloadNginx, ReloadSidecar,
                                     StopControl, StopSidecar, UpgradeSidecar)
from soak.faults_of_trust import Ban, DenyRule, Revoke, RotateRoot, StrictPort

TABLE = {kind.name: kind for kind in (
    KillSidecar, UpgradeSidecar, KillUpgrade, StopSidecar, ReloadSidecar, KillControl, StopControl, ReloadControl, ApplicationEnds, ReloadNginx,
    LinkDown, Loss, DiskFull, SetClock, BootClock, RulesGone, StrictPort, DenyRule, Ban, Revoke, RotateRoot, KillEtcd, StopEtcd, EtcdLinkDown,
    EtcdWithoutMajority)}


def of(num_controls):
    """Those that a mesh with so many control planes can have."""
    return {name: kind for name, kind in TABLE.items() if kind.targets_of(num_controls)}
