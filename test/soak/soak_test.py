#!/usr/bin/python3
"""What needs no namespace: the plan is the same for the same seed, and what is wrong is found."""

import datetime
import itertools
import os
import random
import sys
import time
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("../harness", "..")]

from handfast_harness import identity_of  # noqa: E402 (the path must be set first)
from soak import faults, judge, plan  # noqa: E402
from soak.traffic import OPENING, STANDING, Failure, Served  # noqa: E402


def _steps(seed, number=200, num_controls=1):
    return list(itertools.islice(plan.steps(seed, faults.of(num_controls), num_controls), number))


def _fault(name, target="client", began=100.0, undone=103.0, whole=105.0, **more):
    kind = faults.TABLE[name]
    fault = kind(None, target, **{**kind.parameters(random.Random(1)), **more})
    fault.began, fault.done, fault.undone, fault.whole = began, began, undone, whole
    return fault


def _failure(kind="dial", phase=OPENING, how="reset", since=101.0, at=102.0):
    return Failure(kind, phase, how, since, at, "")


class Plan(unittest.TestCase):
    def test_the_same_seed_gives_the_same_steps(self):
        self.assertEqual(_steps(7), _steps(7))
        self.assertNotEqual(_steps(7), _steps(8))

    def test_every_kind_comes_before_one_comes_again(self):
        for num_controls in (1, 3):
            table = faults.of(num_controls)
            firsts = [step.draws[0].name for step in _steps(3, len(table), num_controls)]
            self.assertEqual(sorted(firsts), sorted(table))

    def test_the_faults_of_etcd_need_several_control_planes(self):
        self.assertEqual(set(faults.of(3)) - set(faults.of(1)), {"kill_etcd", "stop_etcd", "etcd_link_down", "etcd_majority"})
        self.assertEqual(set(faults.of(3)), set(faults.TABLE))

    def test_two_at_once_share_nothing(self):
        pairs = [step.draws for step in _steps(5) if len(step.draws) == 2]
        self.assertTrue(pairs)
        for one, other in pairs:
            self.assertFalse(faults.TABLE[one.name].touches(one.target) & faults.TABLE[other.name].touches(other.target))


class Explanations(unittest.TestCase):
    def _is_explained(self, fault, failure):
        return judge.unexplained([failure], [fault]) == []

    def test_a_kill_explains_resets_while_it_lasts_and_not_after(self):
        kill = _fault("kill_sidecar")
        self.assertTrue(self._is_explained(kill, _failure()))
        self.assertTrue(self._is_explained(kill, _failure(phase=STANDING)))
        self.assertTrue(self._is_explained(kill, _failure(since=90, at=100.1)))
        self.assertFalse(self._is_explained(kill, _failure(since=98, at=99)))
        self.assertFalse(self._is_explained(kill, _failure(since=109, at=110)))

    def test_nothing_explains_other_bytes_and_the_end_of_an_application_alone_a_clean_end(self):
        for name, kind in faults.TABLE.items():
            for target in kind.targets:
                for how in ("end", "wrong"):
                    is_explained = self._is_explained(_fault(name, target), _failure(how=how))
                    self.assertEqual(is_explained, (name, target, how) == ("application_ends", "echo", "end"), (name, target, how))

    def test_faults_that_cause_nothing_explain_nothing(self):
        for name in ("upgrade_sidecar", "kill_control", "stop_control", "disk_full", "rotate_root", "reload_sidecar", "reload_control",
                     "reload_nginx", "kill_etcd", "stop_etcd", "etcd_link_down", "etcd_majority"):
            for target in faults.TABLE[name].targets:
                self.assertFalse(self._is_explained(_fault(name, target), _failure()), name)

    def test_a_clock_explains_only_what_a_sidecar_that_is_ahead_opens(self):
        for target, wall_s, kind, phase in (("control", 3600, "dial", OPENING), ("server", -3600, "dial", OPENING),
                                            ("server", 3600, "plain", OPENING), ("server", 3600, "dial", STANDING)):
            self.assertFalse(self._is_explained(_fault("set_clock", target, wall_s=wall_s), _failure(kind, phase)), (target, wall_s))
        self.assertTrue(self._is_explained(_fault("set_clock", "server", wall_s=3600), _failure()))

    def test_a_stricter_minimum_refuses_the_plaintext_caller(self):
        self.assertTrue(self._is_explained(_fault("reload_sidecar", "server", change="minimum"), _failure("plain")))
        for target, change in (("client", "minimum"), ("server", "error"), ("server", "log")):
            self.assertFalse(self._is_explained(_fault("reload_sidecar", target, change=change), _failure("plain")), (target, change))

    def test_a_fault_of_one_host_explains_nothing_of_others(self):
        self.assertFalse(self._is_explained(_fault("kill_sidecar", "client"), _failure("bystander")))
        self.assertTrue(self._is_explained(_fault("kill_sidecar", "server"), _failure("bystander")))

    def test_a_link_explains_no_reset_of_what_stands(self):
        self.assertFalse(self._is_explained(_fault("link_down"), _failure(phase=STANDING)))


class Invariants(unittest.TestCase):
    def test_served_while_banned_is_found(self):
        class Traffic:
            answers_to_refused, served = [], [Served("bystander", 104, 104.1)]
        ban = _fault("ban", "server", undone=106.0)
        self.assertEqual(judge.refused_stays_refused(Traffic, [ban]), ["bystander was served while ban held"])
        Traffic.served = [Served("bystander", 101, 101.1), Served("bystander", 106.1, 106.2), Served("plain", 104, 104.1)]
        self.assertEqual(judge.refused_stays_refused(Traffic, [ban]), [])

    def test_wrong_peers_are_found(self):
        good = {"encrypted": True, "source_id": identity_of("client"), "destination_id": identity_of("server"), "bytes_sent": 5,
                "bytes_received": 5, "reason": "done", "destination": "198.51.100.2:9000"}
        self.assertFalse(judge.wrong_line("client", {**good, "direction": "outbound"}))
        self.assertFalse(judge.wrong_line("server", {**good, "direction": "inbound"}))
        for change in ({"encrypted": False}, {"source_id": identity_of("denied")}, {"reason": "wrong_peer"}):
            for name, direction in (("client", "outbound"), ("server", "inbound")):
                self.assertTrue(judge.wrong_line(name, {**good, "direction": direction, **change}), (direction, change))
        self.assertTrue(judge.wrong_line("server", {**good, "direction": "inbound_plain"}))

    def test_the_strict_port_may_be_served_only_while_the_servers_rules_are_gone(self):
        class Traffic:
            answers_to_refused, served = [Served("strict", 104, 104.1, b"<<strict>>")], []
        self.assertEqual(judge.refused_stays_refused(Traffic, [_fault("rules_gone", "server")]), [])
        for other in (_fault("rules_gone", "client"), _fault("rules_gone", "server", whole=90.0), _fault("link_down", "server")):
            self.assertEqual(judge.refused_stays_refused(Traffic, [other]), ["strict was served: b'<<strict>>'"])

    def test_an_expired_peer_is_wrong_but_where_a_sidecars_clock_was_ahead(self):
        now = time.monotonic()
        line = {"direction": "outbound", "reason": "peer_expired", "time": datetime.datetime.utcnow().isoformat()[:23] + "Z"}
        self.assertTrue(judge.wrong_line("client", line))
        for target, wall_s, whole, wrong in (("server", 3600, now + 1, False), ("server", -3600, now + 1, True), ("control", 3600, now + 1, True),
                                             ("server", 3600, now - 60, True)):
            clock = _fault("set_clock", target, began=now - 90, whole=whole, wall_s=wall_s)
            self.assertEqual(judge.wrong_line("client", line, [clock]), wrong, (target, wall_s, whole))

    def test_growth_is_found(self):
        samples = judge.Samples()
        samples.rows = {("steady", 1): [(9000, 40)] * 20, ("leaks", 2): [(9000 + 300 * number, 40 + 5 * number) for number in range(20)]}
        self.assertEqual([text.partition(":")[0] for text in samples.no_growth_of_memory()], ["leaks"])
        self.assertEqual([text.partition(":")[0] for text in samples.no_growth_of_descriptors()], ["leaks"])

    def test_processes_that_begin_anew_are_compared_with_the_most_of_the_first_half(self):
        samples = judge.Samples()
        early, late = [(2000, 40)] * 6 + [(9000, 40)] * 4, [(12000, 40)] * 10
        samples.rows = {("killed", 1): early[:3], ("killed", 2): early[3:], ("killed", 3): late,
                        ("leaks", 4): early, ("leaks", 5): [(16000, 40)] * 10}
        self.assertEqual(samples.no_growth_of_memory(), ["leaks: 9000 KB at first, 16000 at the end"])


if __name__ == "__main__":
    unittest.main()
