"""python3 -m unittest handfast_bench.summary_test (from bench/)"""

import unittest

from . import summary


class SummaryTest(unittest.TestCase):
    def test_takes_the_median_of_the_rounds_that_have_a_figure(self):
        rounds = [{"idle_kb": 3.0, "p50_us": 1}, {"p50_us": 9}, {"p50_us": 2}]
        self.assertEqual(summary.medians(rounds), {"idle_kb": 3.0, "p50_us": 2})

    def test_compares_with_the_best_peer_and_never_with_a_baseline_or_an_own_pair(self):
        results = {"direct": {"connect_cpu_us": 1}, "nginx": {"connect_cpu_us": 900},
                   "envoy": {"connect_cpu_us": 800}, "tunnel": {"connect_cpu_us": 40}}
        self.assertEqual(summary.best_peer(results, "connect_cpu_us", False, ["nginx", "envoy"]), ("envoy", 800))

    def test_the_best_rate_is_the_highest(self):
        results = {"nginx": {"bulk_mb_s": 900}, "envoy": {"bulk_mb_s": 1000}}
        self.assertEqual(summary.best_peer(results, "bulk_mb_s", True, ["nginx", "envoy"]), ("envoy", 1000))

    def test_reports_missed_targets(self):
        results = {"envoy": {"connect_cpu_us": 800}, "tunnel": {"connect_cpu_us": 81, "idle_kb": 1.0}}
        lines = summary.verdicts(results, ["tunnel"], ["envoy"]).splitlines()
        self.assertIn("0.10 of envoy's, wanted <= 0.1: NOT reached", lines[0])
        self.assertIn("wanted <= 4.0: reached", lines[1])

    def test_omits_missing_figures(self):
        text = summary.table("t", {"direct": {"bulk_mb_s": 5.0}, "relay": {"idle_kb": 1.3}}, ["direct", "relay"], [])
        self.assertIn("| MB/s bulk | 5 | - |", text)
        self.assertIn("| KB per idle connection pair | - | 1.3 |", text)
        self.assertNotIn("new connection", text)


if __name__ == "__main__":
    unittest.main()
