"""python3 -m unittest handfast_bench.committed_test (from bench/)"""

import os
import tempfile
import unittest

from . import committed

BEFORE = {"reno": {"envoy": {"connect_cpu_us": 1000.0, "bulk_cpu_s_gb": 2.0}, "nginx": {"connect_cpu_us": 3000.0},
                   "handfast": {"connect_cpu_us": 100.0, "bulk_cpu_s_gb": 1.6}}}


def _now(connect, peer=1000.0, bulk=1.6):
    return {"reno": {"envoy": {"connect_cpu_us": peer, "bulk_cpu_s_gb": 2.0},
                     "handfast": {"connect_cpu_us": connect, "bulk_cpu_s_gb": bulk}}}


class CommittedTest(unittest.TestCase):
    def findings(self, now, peers=("envoy", "nginx")):
        return committed.findings(BEFORE, now, ["handfast"], list(peers))

    def test_a_ratio_that_is_worse_by_less_than_a_tenth_is_none(self):
        self.assertEqual(self.findings(_now(109.0)), [])

    def test_a_ratio_that_is_worse_by_more_is_named(self):
        lines = self.findings(_now(111.0))
        self.assertEqual(len(lines), 1)
        self.assertIn("reno, handfast, connect_cpu_us: 0.111", lines[0])

    def test_a_slower_machine_is_none(self):
        self.assertEqual(self.findings(_now(200.0, peer=2000.0)), [])

    def test_a_faster_peer_counts(self):
        self.assertEqual(len(self.findings(_now(100.0, peer=800.0))), 1)

    def test_a_peer_that_one_run_lacks_is_not_compared_with(self):
        now = _now(105.0)
        now["reno"]["haproxy"] = {"connect_cpu_us": 10.0}
        self.assertEqual(self.findings(now, ("envoy", "nginx", "haproxy")), [])

    def test_without_a_common_peer_nothing_can_be_compared(self):
        now = _now(105.0)
        del now["reno"]["envoy"]
        self.assertFalse(committed.is_comparable(BEFORE, now, ["handfast"], ["envoy"]))
        self.assertTrue(committed.is_comparable(BEFORE, _now(1.0), ["handfast"], ["envoy"]))
        self.assertFalse(committed.is_comparable(BEFORE, {"bbr": _now(1.0)["reno"]}, ["handfast"], ["envoy"]))

    def test_what_is_written_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "table.json")
            committed.write(path, {"reno": {"handfast": {"idle_kb": 2.345678}}})
            self.assertEqual(committed.read(path), {"reno": {"handfast": {"idle_kb": 2.346}}})


if __name__ == "__main__":
    unittest.main()
