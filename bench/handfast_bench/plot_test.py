"""python3 -m unittest handfast_bench.plot_test (from bench/)"""

import unittest
import xml.etree.ElementTree as xml

from . import elsewhere, plot

SVG = "{http://www.w3.org/2000/svg}"
TABLES = {"bbr": {"direct": {"connect_cpu_us": 0.0}, "envoy": {"connect_cpu_us": 1000.0, "idle_kb": 60.0},
                  "handfast": {"connect_cpu_us": 100.0}},
          "reno": {"envoy": {"connect_cpu_us": 2000.0}}}


def _drawn():
    return xml.fromstring(plot.svg(TABLES, lambda name: "ours" if name == "handfast" else "peer"))


class PlotTest(unittest.TestCase):
    def test_a_bar_is_as_long_as_its_value(self):
        widths = {bar.find(SVG + "title").text: float(bar.get("width")) for bar in _drawn().find(SVG + "g").iter(SVG + "rect")
                  if bar.find(SVG + "title") is not None}
        self.assertAlmostEqual(widths["envoy, reno"], 2 * widths["envoy, bbr"], delta=0.2)

    def test_there_is_a_panel_per_figure_and_none_for_what_no_pair_has(self):
        titles = [text.text for text in _drawn().iter(SVG + "text") if text.get("font-weight") == "bold"]
        self.assertEqual(titles, ["CPU us per new connection", "KB per idle connection pair"])

    def test_a_value_of_zero_has_no_bar(self):
        self.assertNotIn("direct", [text.text for text in _drawn().iter(SVG + "text")])


class ElsewhereTest(unittest.TestCase):
    def test_has_only_figures_that_the_run_has(self):
        self.assertEqual(elsewhere.figures("reno", {"envoy": {"idle_kb": 1.0}}),
                         {"ztunnel (measured elsewhere)": {"idle_kb": 11.0}})

    def test_knows_nothing_of_another_congestion_control(self):
        self.assertEqual(elsewhere.figures("cubic", {"envoy": {"idle_kb": 1.0}}), {})


if __name__ == "__main__":
    unittest.main()
