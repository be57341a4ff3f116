#!/usr/bin/python3
"""What needs no namespace: the plan is the same for the same seed, and what is wrong is found."""

import itertools
import os
import sys
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), part) for part in ("../harness", "..")]

from handfast_harness import identity_of  # noqa: E402 (the path must be set first)
from soak import faults, judge, plan  # noqa: E402
from soak.traffic import OPENING, STANDING, Failure, Served  # noqa: E402


def _steps(seed, number=200):
    return list(itertools.islice(plan.steps(seed, faults.TABLE), number))


def _fault(name, target="client", began=100.0, undone=103.0, whole=105.0):
    fault = faults.TABLE[name](None, target, 3.0)
    fault.began, fault.done, fault.undone, fault.whole = began, began, undone, whole
    return fault


def _failure(kind="dial", phase=OPENING, how="reset", since=101.0, at=102.0):
    return Failure(kind, phase, how, since, at, "")


class Plan(unittest.TestCase):
    def test_the_same_seed_gives_the_same_steps(self):
        self.assertEqual(_steps(7), _steps(7))
        self.assertNotEqual(_steps(7), _steps(8))

    def test_every_kind_comes_before_one_comes_again(self):
        firsts = [step.draws[0].name for step in _steps(3, len(faults.TABLE))]
        self.assertEqual(sorted(firsts), sorted(faults.TABLE))

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

    def test_nothing_explains_a_clean_end_or_other_bytes(self):
        for name, kind in faults.TABLE.items():
            for target in kind.targets:
                for how in ("end", "wrong"):
                    self.assertFalse(self._is_explained(_fault(name, target), _failure(how=how)), name)

    def test_faults_that_cause_nothing_explain_nothing(self):
        for name in ("upgrade_sidecar", "kill_control", "stop_control", "disk_full", "set_clock", "rotate_root"):
            for target in faults.TABLE[name].targets:
                self.assertFalse(self._is_explained(_fault(name, target), _failure()), name)

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

    def test_growth_is_found(self):
        samples = judge.Samples()
        samples.rows = {("steady", 1): [(9000, 40)] * 20, ("leaks", 2): [(9000 + 1000 * number, 40 + 5 * number) for number in range(20)]}
        self.assertEqual([text.partition(":")[0] for text in samples.no_growth_of_memory()], ["leaks"])
        self.assertEqual([text.partition(":")[0] for text in samples.no_growth_of_descriptors()], ["leaks"])


if __name__ == "__main__":
    unittest.main()
