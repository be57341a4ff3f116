"""Network namespaces, programs in them and their traffic: the library of the stories."""

from . import servers
from .apps import Nginx, Postgres, Redis
from .capture import Capture
from .carried import carried, seen_address, strict_mesh
from .certificates import TestAuthority
from .expect import StoryFailure, expect, expect_eq, expect_in, wait_until
from .mesh import Mesh, identity_of
from .namespace import Namespace
from .process import Process
from .shown import needs, needs_earlier
from .stream import Server as StreamServer
from .topology import Topology
from .web_pki import WebPki

__all__ = [
    "Capture", "Mesh", "Namespace", "Nginx", "Postgres", "Process", "Redis", "StoryFailure", "StreamServer",
    "TestAuthority", "Topology", "WebPki", "carried", "expect", "expect_eq", "expect_in", "identity_of", "needs",
    "needs_earlier", "seen_address", "servers", "strict_mesh", "wait_until",
]
