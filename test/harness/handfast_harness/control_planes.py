"""Several control planes of one mesh, whose store is in etcd.

other = another_control_plane(mesh.control, net.control2)
carry_keys(mesh.control, other)                  mesh.control runs
other.start()
start_sidecars(mesh, [mesh.control, other], ("client", "server"))"""

import os

from .control_plane import CONTROL_UID, STREAMS, ControlPlane, private_file
from .expect import wait_until


def keys_command(control, *words, check=True):
    """handfast-control keys WORDS, on its host, as its user."""
    return control.host.run([control.story.binary("handfast-control"), "keys", *words, "--config", control.path],
                            uid=CONTROL_UID, check=check)


def another_control_plane(first, host):
    """With the settings of the first one; not started, without keys."""
    other = ControlPlane(first.story, host, first.settings, name=host.name)
    other.configure({"state_dir": other.state, "operator_socket": other.socket})
    return other


def exported_keys(control):
    """The file that keys export has made, and that of its passphrase."""
    return os.path.join(control.folder, "run", "keys.sealed"), os.path.join(control.folder, "passphrase")


def carry_keys(first, to):
    """What an operator does: the keys of bootstrap root and root, from the first control plane to another one."""
    sealed, passphrase = exported_keys(first)
    private_file(passphrase, "correct horse battery staple\n")
    # its ports are open before it has made all of its keys, and removed the one of a root that is the operator's
    wait_until("the bootstrap root's key", lambda: os.path.exists(os.path.join(first.state, "keys", "bootstrap.pem")), 30)
    export = ("export", "--to", sealed, "--passphrase-file", passphrase)
    wait_until("the export of the keys", lambda: keys_command(first, *export, check=False).returncode == 0, 30)
    keys_command(to, "import", "--from", sealed, "--passphrase-file", passphrase)


def start_sidecars(mesh, controls, names):
    """Sidecars that have the addresses of all control planes, until they are ready."""
    addresses = ["%s:%d" % (control.host.ipv4, STREAMS) for control in controls]
    for name in names:
        mesh.start_sidecar(name, configuration={"control": {"address": addresses}}, wait=False)
    for sidecar in mesh.sidecars.values():
        sidecar.wait_until_ready()
