#!/usr/bin/python3
"""Tests of the harness's pure parts, and of the runner with stories that fail. Needs no root:
`test/harness/harness_test.py`."""

import argparse
import contextlib
import importlib.util
import io
import json
import multiprocessing
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from handfast_harness import StoryFailure, capture, expect_eq, expect_in, fairness, quick_start, settings  # noqa: E402
from handfast_harness import process, shown, standing, story, stream, tries, wait_until  # noqa: E402


def _segment(sequence, flags, payload, source_port=1000):
    tcp = struct.pack(">HHIIBBHHH", source_port, 80, sequence, 0, 5 << 4, flags, 0, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, bytes([192, 0, 2, 2]),
                     bytes([198, 51, 100, 2]))
    return bytes(12) + b"\x08\x00" + ip + tcp + b"padding"


def _pcap(*frames):
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return header + b"".join(struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame for frame in frames)


class _Read(capture.Capture):
    """A capture from a file."""

    def __init__(self, data):
        self._packets = list(capture.read_pcap(data))


class Settings(unittest.TestCase):
    def test_are_written_as_blocks_without_absent_values(self):
        text = settings.to_yaml({"mesh": {"networks": ["192.0.2.0/24"]}, "policy": {}, "none": None,
                                 "services": [{"name": "web", "ports": [{"port": 80, "target": 8080}]}]})
        self.assertEqual(text.splitlines(), ["mesh:", '  networks: ["192.0.2.0/24"]', "services:", '  - name: "web"',
                                             "    ports:", "      - port: 80", "        target: 8080"])

    def test_are_merged_key_by_key_and_lists_replaced(self):
        base = {"log": {"level": "debug", "format": "text"}, "list": [1]}
        self.assertEqual(settings.merge(base, {"log": {"format": "json"}, "list": [2]}),
                         {"log": {"level": "debug", "format": "json"}, "list": [2]})
        self.assertEqual(base["log"]["format"], "text")


class Fairness(unittest.TestCase):
    """A lock in place of a mesh: the attack holds it for a given time, or leaves it alone. The flood has a low priority: on a
    busy machine it may stand still with the lock, so only the attack that is to make requests fail meets impatient ones."""

    def _measure(self, held_s, patience_s=20.0):
        lock = multiprocessing.get_context("fork").Lock()

        def request():
            if not lock.acquire(timeout=patience_s):
                raise TimeoutError("the lock is held")
            lock.release()

        def hold(ending):
            until = time.monotonic() + held_s
            while time.monotonic() < until and not ending():  # it ends with the attack: a flood that is killed never releases
                time.sleep(0.01)  # duration: how long the attack holds the lock

        def flood(count, ending):
            while not ending():
                with lock if held_s else contextlib.nullcontext():
                    count()
                    hold(ending)
                time.sleep(0.001)  # duration: the pause in which others get it

        with contextlib.redirect_stdout(io.StringIO()):
            return fairness.expect_unharmed("lock", {"lock": request}, lambda: fairness.Attack(flood),
                                            fairness.wait_for_count(1), seconds=0.3, per_second=100)

    def test_an_attack_without_effect_passes_and_is_reported(self):
        self.assertRegex(self._measure(0.0), r"attack \d+ per second; (\d+) of \1 requests; p99 lock .* back after")

    def test_an_attack_that_makes_requests_fail_is_found(self):
        with self.assertRaisesRegex(StoryFailure, "requests failed during the attack"):
            self._measure(5.0, patience_s=0.2)

    def test_an_attack_that_delays_requests_is_found(self):
        with self.assertRaisesRegex(StoryFailure, "p99 above 3 times the quiet run in each of 3 rounds"):
            self._measure(1.0)

    def test_percentiles_are_values_that_occurred(self):
        self.assertEqual([fairness.percentile(range(1, 101), part) for part in (0.0, 0.5, 0.99)], [1, 51, 100])
        self.assertEqual(fairness.percentile([7], 0.99), 7)


class Capture(unittest.TestCase):
    def test_joins_a_stream_in_order_and_each_byte_once(self):
        wire = _Read(_pcap(_segment(99, capture.SYN, b""), _segment(103, capture.ACK, b"ker"),
                           _segment(100, capture.ACK, b"mar"), _segment(100, capture.ACK, b"mark")))
        self.assertEqual(list(wire.streams().values()), [b"marker"])
        self.assertTrue(wire.contains(b"marker"))
        self.assertFalse(wire.contains(b"padding"))
        self.assertEqual(wire.ports(), {80})

    def test_handles_a_sequence_number_that_wraps(self):
        wire = _Read(_pcap(_segment(0xFFFFFFFD, capture.SYN, b""), _segment(0xFFFFFFFE, capture.ACK, b"ab"),
                           _segment(0, capture.ACK, b"cd")))
        self.assertEqual(list(wire.streams().values()), [b"abcd"])

    def test_does_not_join_across_a_hole(self):
        wire = _Read(_pcap(_segment(99, capture.SYN, b""), _segment(100, capture.ACK, b"ab"),
                           _segment(110, capture.ACK, b"cd")))
        self.assertFalse(wire.contains(b"abcd"))

    def test_reads_tls_records_up_to_the_first_other_byte(self):
        data = b"\x17\x03\x03\x00\x02hi" + b"GET / HTTP/1.1"
        self.assertEqual(capture.tls_records(data), [capture.Record(23, 0x0303, b"hi")])
        self.assertIsNone(capture.tls_negotiated_version(b"GET / HTTP/1.1\r\n"))

    def test_reads_the_version_that_a_server_chose(self):
        extension = struct.pack(">HHH", 43, 2, 0x0304)
        body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x13\x01\x00" + struct.pack(">H", len(extension)) + extension
        hello = b"\x02" + len(body).to_bytes(3, "big") + body
        self.assertEqual(capture.tls_negotiated_version(b"\x16\x03\x03" + struct.pack(">H", len(hello)) + hello), 0x0304)


class QuickStartOutput(unittest.TestCase):
    """What the quick start prints, made from what README shows of it, and each way in which it may differ."""

    SHOWN = ['HTTP/1.0 200 OK\n{"direction":"inbound","reason":"done","encrypted":true,"destination":"192.0.2.3:8000",\n'
             '"endpoint":"192.0.2.3:8000","source_id":"shop","destination_id":"db","rule":"shop-may"}\n',
             '"reason": "denied",\n"got": "policy refuses shop at 192.0.2.2:36960",\n']
    BLOCKS = ["until handfast status\n", "handfast-sidecar wait\n", "python3 -m http.server 8000\n",
              "curl -s http://127.0.0.1:15000/why\n"]
    OUTPUT = ["0 attested sidecars\n", "ready\nok       outbound_ipv4: arrived\n" * 2,
              SHOWN[0].replace(",\n", ",").replace("\n\"", "\""),
              "".join("failed with 56: %s\n" % command for command in quick_start.REFUSED) +
              SHOWN[1].replace("36960", "40000") + '"reason": "plaintext_refused"\n']

    def _check(self, code=0, **other):
        """Reads OUTPUT, or another one of a section, given as s0 to s3."""
        text = "\n## Quick start by hand\n%s\n## Next\n" % "".join("```text\n%s```\n" % shown for shown in self.SHOWN)
        checked = quick_start.QuickStart(text, self.BLOCKS)
        sections = [other.get("s%d" % i, output) for i, output in enumerate(self.OUTPUT)]
        checked.read(code, "".join("=== %d\n%s" % pair for pair in enumerate(sections)))
        checked.expect_sidecars()
        checked.expect_call()
        checked.expect_refusals()

    def test_what_readme_shows_is_accepted(self):
        self._check()

    def test_each_difference_fails(self):
        call, refusals = self.OUTPUT[2:]
        for what, other in {
                "exit code": {"code": 1}, "status": {"s0": ""}, "sidecars": {"s1": "ready\nok       outbound_ipv4: arrived\n"},
                "check failed": {"s1": self.OUTPUT[1] + "failed   inbound: no rule\n"},
                "the answer": {"s2": call.replace("200 OK", "404 Not Found")}, "rule": {"s2": call.replace("shop-may", "other")},
                "fields": {"s2": call.replace('"rule"', '"name"')}, "lines of the call": {"s2": "HTTP/1.0 200 OK\n"},
                "commands that failed": {"s0": "failed with 1: handfast status\n0 attested sidecars\n"},
                "not reset": {"s3": refusals.replace("with 56", "with 28")},
                "the page /why": {"s3": refusals.replace("denied", "refused")}}.items():
            with self.assertRaisesRegex(StoryFailure, what):
                self._check(**other)


class Expect(unittest.TestCase):
    def test_reports_the_expected_and_the_actual_value(self):
        with self.assertRaisesRegex(StoryFailure, "port: expected 80, got 81"):
            expect_eq(81, 80, "port")
        with self.assertRaises(StoryFailure):
            expect_in(b"x", b"y" * 1000, "long")

    def test_gives_up_at_the_deadline(self):
        with self.assertRaisesRegex(StoryFailure, "waited 0.1 s for nothing"):
            wait_until("nothing", lambda: False, deadline_s=0.1)


class Stream(unittest.TestCase):
    def test_makes_the_same_pattern_from_the_same_seed(self):
        self.assertEqual(stream.pattern(1000, 7), stream.pattern(1000, 7))
        self.assertNotEqual(stream.pattern(1000, 7), stream.pattern(1000, 8))


class Runner(unittest.TestCase):
    def _run(self, text):
        """(passed, output) for a story with that text."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
            path = os.path.join(folder, "005_story.py")
            with open(path, "w") as file:
                file.write(text)
            return story.run(path, os.path.join(folder, "logs")), out.getvalue()

    def test_runs_the_functions_in_order(self):
        passed, output = self._run('"""Order."""\ndef arrange(s): s.seen = []\ndef shows_b(s): s.seen.append(1)\n'
                                  'def shows_a(s): assert s.seen == [1]\n')
        self.assertTrue(passed)
        self.assertTrue(re.fullmatch(r"005 PASS \d+\.\d s Order\n", output), output)

    def test_reports_where_and_why_a_story_fails(self):
        passed, output = self._run('"""Wrong."""\nfrom handfast_harness import expect\n'
                                  'def shows_that_it_holds(s): expect(False, "it does not")\n')
        self.assertFalse(passed)
        self.assertIn("in shows that it holds: it does not", output)
        self.assertIn("logs: ", output)

    def test_ends_a_story_at_its_deadline_and_removes_its_resources(self):
        passed, output = self._run('"""Slow."""\nimport threading, contextlib\nDEADLINE_S = 1\n@contextlib.contextmanager\n'
                                  'def thing():\n    yield\n    print("removed")\n'
                                  'def arrange(s): s.own(thing())\ndef shows_nothing(s): threading.Event().wait(30)\n')  # duration: beyond DEADLINE_S
        self.assertFalse(passed)
        self.assertIn("deadline", output)
        self.assertIn("removed", output)

    def test_fails_a_story_that_cannot_be_loaded_or_has_no_tests(self):
        self.assertFalse(self._run('"""Broken."""\nimport nothing_of_that_name\n')[0])
        self.assertFalse(self._run('"""Empty."""\n')[0])

    def test_selects_by_number_range_and_name(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("001_a.py", "010_rules.py", "042_z.py", "notes.py"):
                open(os.path.join(folder, name), "w").close()

            def names(*patterns):
                return [os.path.basename(path)[:3] for path in story.discover(folder, patterns)]
            self.assertEqual(names(), ["001", "010", "042"])
            self.assertEqual(names("10"), ["010"])
            self.assertEqual(names("005-042"), ["010", "042"])
            self.assertEqual(names("rules", "001"), ["001", "010"])


    def test_a_long_story_has_its_reason_at_the_start_of_a_line(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("001_a.py", '"""A."""\nLONG = "a minute"\n'), ("002_b.py", '"""A LONG = of text."""\n')):
                with open(os.path.join(folder, name), "w") as file:
                    file.write(text)
            self.assertEqual([story.is_long(path) for path in story.discover(folder, [])], [True, False])


def _run_stories():
    """test/run_stories.py as a module."""
    path = os.path.join(HERE, "..", "run_stories.py")
    spec = importlib.util.spec_from_file_location("run_stories", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class OneFunction(unittest.TestCase):
    TEXT = ('"""Steps."""\nfrom handfast_harness import needs\n'
            "def arrange(s): s.seen = []\n"
            "def shows_that_one_begins(s):\n    \"\"\"The first.\"\"\"\n    s.seen.append(1)\n    s.serial = 7\n"
            "def _serial(s): return s.serial\n"
            "def shows_that_two_reads_it(s): assert (_serial(s), s.seen) == (7, [1])\n"
            "@needs(shows_that_two_reads_it)\ndef shows_that_three_follows(s): pass\n"
            "def shows_nothing_of_the_others(s): assert s.seen == []\n")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.path = folder.name, os.path.join(folder.name, "005_steps.py")
        with open(self.path, "w") as file:
            file.write(self.TEXT)

    def _selected(self, pattern, **options):
        return story.select(self.folder, [pattern], **options)[self.path]

    def test_is_selected_by_its_name_or_a_part_that_only_it_has(self):
        self.assertEqual(self._selected("005:shows_nothing_of_the_others"), ["shows_nothing_of_the_others"])
        self.assertEqual(self._selected("steps:of_the"), ["shows_nothing_of_the_others"])
        self.assertIsNone(self._selected("005"))

    def test_is_refused_with_the_candidates_when_the_part_has_none_or_several(self):
        with self.assertRaisesRegex(shown.SelectionError, "3 functions\n    shows_that_one_begins\n"):
            self._selected("005:that")
        with self.assertRaisesRegex(shown.SelectionError, "0 functions"):
            self._selected("005:nothing_of_that_name")
        with self.assertRaisesRegex(shown.SelectionError, "'9' matches 0 stories"):
            story.select(self.folder, ["9:that"])

    def test_runs_after_what_it_needs_declared_or_by_an_attribute(self):
        self.assertEqual(self._selected("005:two"), ["shows_that_one_begins", "shows_that_two_reads_it"])
        self.assertEqual(self._selected("005:three"),
                         ["shows_that_one_begins", "shows_that_two_reads_it", "shows_that_three_follows"])

    def test_runs_after_all_earlier_ones_on_request(self):
        self.assertEqual(len(self._selected("005:of_the_others", with_earlier=True)), 4)

    def test_a_need_that_is_no_earlier_function_is_refused(self):
        with open(self.path, "a") as file:
            file.write("@needs(shows_that_nine)\ndef shows_that_four(s): pass\n")
        with self.assertRaisesRegex(shown.SelectionError, "shows_that_four needs shows_that_nine"):
            shown.functions(self.path)

    def test_a_function_that_never_runs_is_refused(self):
        with open(self.path, "a") as file:
            file.write("def K1_is_no_name_of_a_function_that_runs(s): pass\n")
        with self.assertRaisesRegex(shown.SelectionError, "K1_is_no_name_of_a_function_that_runs never runs"):
            shown.functions(self.path)

    def test_runs_after_all_above_where_it_declares_so(self):
        with open(self.path, "a") as file:
            file.write("from handfast_harness import needs_earlier\n@needs_earlier\ndef shows_that_four(s): pass\n")
        self.assertEqual(len(self._selected("005:four")), 5)

    def test_an_attribute_that_is_read_before_it_is_set_is_a_need(self):
        with open(self.path, "a") as file:
            file.write("def shows_that_four_counts(s): s.serial += 1\n"
                       "class _Later:\n    def __init__(self, s): self.was = s.serial\n"
                       "def shows_that_five_reads_by_a_class(s): assert _Later(s).was == 8\n"
                       "def shows_that_six_sets_first(s):\n    s.serial = 1\n    assert s.serial == 1\n"
                       "def shows_that_seven_reads_what_is_set_by_none(s): assert s.nothing\n")
        by_name = {function.name: function for function in shown.functions(self.path)}
        self.assertEqual(by_name["shows_that_four_counts"].needs, ["shows_that_one_begins"])
        self.assertEqual(by_name["shows_that_five_reads_by_a_class"].needs, ["shows_that_four_counts"])
        self.assertEqual(by_name["shows_that_six_sets_first"].needs, [])
        self.assertEqual(by_name["shows_that_seven_reads_what_is_set_by_none"].unset, {"nothing"})

    def test_each_function_alone_runs_after_what_it_needs(self):
        runner = _run_stories()
        options = argparse.Namespace(each_alone=True, logs="/logs")
        runs = runner.runs_of(options, story.select(self.folder, ["005"]))
        self.assertEqual([(names, logs) for _, names, logs in runs], [
            (["shows_that_one_begins"], "/logs/0"),
            (["shows_that_one_begins", "shows_that_two_reads_it"], "/logs/1"),
            (["shows_that_one_begins", "shows_that_two_reads_it", "shows_that_three_follows"], "/logs/2"),
            (["shows_nothing_of_the_others"], "/logs/3")])

    def test_alone_prints_what_ran(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            passed = story.run(self.path, os.path.join(self.folder, "logs"), only=self._selected("005:two"))
        self.assertTrue(passed)
        self.assertIn("ran: arrange, shows_that_one_begins, shows_that_two_reads_it\n", out.getvalue())

    def test_is_listed_with_its_title_and_what_it_needs(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            _run_stories().print_list(story.select(self.folder, ["005"]))
        self.assertEqual(out.getvalue().splitlines()[:5], [
            "005  Steps", "     005:shows_that_one_begins", "         The first.", "     005:shows_that_two_reads_it",
            "         needs: shows_that_one_begins"])

    def test_every_story_of_the_tree_can_be_listed(self):
        runner = _run_stories()
        for folder in ("integration", "kube/stories"):
            for path in story.discover(os.path.join(runner.HERE, folder), []):
                self.assertTrue(shown.functions(path), path)

    def test_a_function_reads_only_attributes_that_arrange_or_an_earlier_function_sets(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(story.Story(folder + "/s")) as made:
            own = set(dir(made))
        for path in story.discover(os.path.join(_run_stories().HERE, "integration"), []):
            for function in shown.functions(path):
                self.assertEqual(function.unset - own, set(), (os.path.basename(path), function.name))

    def test_a_program_that_runs_is_not_started_twice(self):
        ended, running = (argparse.Namespace(name="handfast-sidecar", exit_code=code) for code in (0, None))
        process.expect_ended(None)
        process.expect_ended(ended)
        with self.assertRaisesRegex(StoryFailure, "handfast-sidecar is running already; .* needs"):
            process.expect_ended(running)


class Standing(unittest.TestCase):
    """Stories whose hosts are names alone, so that no namespace is needed."""
    TEXT = ('"""Stands."""\nimport contextlib, os\nfrom handfast_harness import Namespace, Topology\n'
            "class Net(Topology):\n"
            "    def __init__(self):\n"
            "        self.hosts, self.router = {\"pod\": Namespace(\"no-pod\", \"pod\")}, Namespace(\"no-r\", \"router\")\n"
            "    def remove(self): pass\n"
            "@contextlib.contextmanager\n"
            "def thing(path):\n    yield\n    open(path, \"w\").close()\n"
            "def arrange(s): s.own(Net()), s.own(thing(os.path.join(s.root, \"removed\")))\n"
            "def shows_it(s): assert %s\n")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.logs = os.path.join(folder.name, "logs")
        self.path = os.path.join(folder.name, "006_stands.py")
        self.root = os.path.join(self.logs, "006_stands")

    def _write(self, holds):
        with open(self.path, "w") as file:
            file.write(self.TEXT % holds)

    def _is_removed(self):
        return os.path.exists(os.path.join(self.root, "removed"))

    def _keep(self, holds=True):
        """(passed, what was printed); the story stands."""
        self._write(holds)
        printed = os.path.join(os.path.dirname(self.path), "printed")
        code = ("import sys; sys.path.insert(0, %r); from handfast_harness import standing, story\n"
                "run = lambda before_close: story.run(%r, %r, before_close=before_close)\n"
                "sys.exit(0 if standing.run_in_keeper(run) else 1)" % (HERE, self.path, self.logs))
        with open(printed, "w") as out:  # in a process of its own: the keeper is a copy of what starts it
            done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=30)
        with open(printed) as out:
            return done.returncode == 0, out.read()

    def test_stands_until_it_is_taken_down_and_prints_how_to_enter_each_host(self):
        passed, printed = self._keep()
        self.assertTrue(passed, printed)
        self.assertFalse(self._is_removed())
        self.assertIn("pod        nsenter --net=/run/netns/no-pod -- bash\nrouter     nsenter --net=/run/netns/no-r", printed)
        self.assertIn("test/run_stories.py --down %s\n" % self.root, printed)
        self.assertEqual(standing.take_down(self.logs), self.root)  # the folder above will do
        self.assertTrue(self._is_removed())
        with self.assertRaisesRegex(StoryFailure, "found 0"):
            standing.take_down(self.root)

    def test_a_story_that_failed_stands_as_well(self):
        passed, printed = self._keep(holds=False)
        self.assertFalse(passed)
        self.assertIn("006 FAIL", printed)
        self.assertFalse(self._is_removed())
        standing.take_down(self.root)
        self.assertTrue(self._is_removed())

    def test_is_taken_down_although_its_keeper_was_killed(self):
        self._keep()
        with open(os.path.join(self.root, "standing.json")) as file:
            keeper = json.load(file)["keeper"]
        os.kill(keeper, signal.SIGKILL)
        self.assertEqual(standing.take_down(self.root), self.root)

    def test_a_shell_opens_in_the_first_host_and_its_end_removes_all(self):
        self._write(True)
        folder = os.path.join(os.path.dirname(self.path), "bin")
        os.mkdir(folder)
        with open(os.path.join(folder, "nsenter"), "w") as file:  # in place of the real one, which needs root
            file.write("#!/bin/sh\necho $* in $PWD > %s/entered; ls > %s/found\n" % (folder, folder))
        os.chmod(file.name, 0o755)
        before, os.environ["PATH"] = os.environ["PATH"], folder + ":" + os.environ["PATH"]
        try:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertTrue(story.run(self.path, self.logs, before_close=standing.shell))
        finally:
            os.environ["PATH"] = before
        with open(os.path.join(folder, "entered")) as entered, open(os.path.join(folder, "found")) as found:
            self.assertEqual(entered.read(), "--net=/run/netns/no-pod -- bash in %s\n" % self.root)
            self.assertNotIn("removed", found.read())
        self.assertIn("left standing until you leave this shell, which is in pod:", out.getvalue())
        self.assertTrue(self._is_removed())


class CommandLine(unittest.TestCase):
    def _run(self, *words):
        path = os.path.join(HERE, "..", "run_stories.py")
        return subprocess.run([sys.executable, path, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def test_refuses_what_it_cannot_select(self):
        self.assertEqual(self._run("999").returncode, 64)
        done = self._run("053:no_function_of_that_name")
        self.assertEqual((done.returncode, done.stdout), (64, ""))
        self.assertIn("0 functions", done.stderr)

    def test_keep_is_for_one_story(self):
        done = self._run("--keep", "001-002")
        self.assertEqual(done.returncode, 64)
        self.assertIn("--keep leaves one story standing, and 2 are selected", done.stderr)
        self.assertEqual(self._run("--keep", "--each-alone", "001").returncode, 64)

    def test_down_needs_a_folder_with_a_story_that_stands(self):
        with tempfile.TemporaryDirectory() as folder:
            done = self._run("--down", folder)
        self.assertEqual(done.returncode, 1 if os.geteuid() == 0 else 77)

    def test_a_reader_of_the_list_may_end_first(self):
        path = os.path.join(HERE, "..", "run_stories.py")
        script = '"$0" "$1" --list | head -n 1'
        done = subprocess.run(["bash", "-c", script, sys.executable, path], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr, done.stdout[:3]), (0, "", "001"))

    def test_lists_the_functions_of_a_story(self):
        done = self._run("--list", "053:sigterm")
        self.assertEqual(done.returncode, 0)
        self.assertIn("\n     053:shows_that_sigterm_drains\n", done.stdout)


class SecondTries(unittest.TestCase):
    def _failed(self, outcomes):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            failed = tries.sum_up(outcomes)
        return failed, out.getvalue()

    def test_a_story_that_passes_the_second_time_is_flaky(self):
        results = iter([False, True])
        self.assertEqual(tries.outcome(lambda: next(results), lambda: next(results)), tries.FLAKY)
        self.assertEqual(tries.outcome(lambda: False, lambda: False), tries.FAILED)
        self.assertEqual(tries.outcome(lambda: False), tries.FAILED)
        self.assertEqual(tries.outcome(lambda: True, lambda: self.fail("a second try of what passed")), tries.PASSED)

    def test_a_few_flaky_stories_are_named_and_more_have_failed(self):
        passed = [("p%d" % at, tries.PASSED) for at in range(60)]
        few = passed + [(name, tries.FLAKY) for name in "abc"]
        self.assertEqual(self._failed(few), (0, "flaky: a\nflaky: b\nflaky: c\n63 passed, 0 failed\n"))
        failed, out = self._failed(few + [("d", tries.FLAKY)])
        self.assertEqual((failed, out.splitlines()[-1]), (4, "60 passed, 4 failed"))
        self.assertEqual(self._failed(few + [("d", tries.FAILED)])[0], 1)


class KubernetesPrograms(unittest.TestCase):
    def test_they_are_built_with_the_version_that_is_pinned(self):
        sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kube"))
        from kube_cluster import programs
        self.assertRegex(programs.link_flags(), r"gitVersion=v1\.\d+\.\d+ .*gitMinor=\d+ ")


if __name__ == "__main__":
    unittest.main()
