#!/usr/bin/python3
"""Tests of the harness's pure parts, and of what the runner makes of stories that go wrong. Needs no root:
`test/harness/harness_test.py`."""

import contextlib
import io
import multiprocessing
import os
import re
import struct
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from handfast_harness import StoryFailure, capture, expect_eq, expect_in, fairness, settings, story, stream, wait_until  # noqa: E402


def _segment(sequence, flags, payload, source_port=1000):
    tcp = struct.pack(">HHIIBBHHH", source_port, 80, sequence, 0, 5 << 4, flags, 0, 0, 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, bytes([192, 0, 2, 2]),
                     bytes([198, 51, 100, 2]))
    return bytes(12) + b"\x08\x00" + ip + tcp + b"padding"


def _pcap(*frames):
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return header + b"".join(struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame for frame in frames)


class _Read(capture.Capture):
    """A capture that was taken before."""

    def __init__(self, data):
        self._packets = list(capture.read_pcap(data))


class Settings(unittest.TestCase):
    def test_are_written_as_blocks_and_absent_ones_not_at_all(self):
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
    """A lock in place of a mesh: the attack takes it for as long as it likes."""

    def _measure(self, held_s):
        lock = multiprocessing.get_context("fork").Lock()

        def request():
            if not lock.acquire(timeout=0.2):
                raise TimeoutError("the lock is held")
            lock.release()

        def flood(count, ending):
            while not ending():
                with lock:
                    count()
                    time.sleep(held_s)
                time.sleep(0.001)

        with contextlib.redirect_stdout(io.StringIO()):
            return fairness.expect_unharmed("lock", {"lock": request}, lambda: fairness.Attack(flood),
                                            fairness.wait_for_count(1), seconds=0.3, per_second=100)

    def test_an_attack_that_harms_nobody_passes_and_is_reported(self):
        self.assertRegex(self._measure(0.0), r"attack \d+ per second; (\d+) of \1 requests; p99 lock .* back after")

    def test_an_attack_that_lets_requests_fail_is_found(self):
        with self.assertRaisesRegex(StoryFailure, "requests failed during the attack"):
            self._measure(0.6)

    def test_an_attack_that_makes_requests_late_is_found(self):
        with self.assertRaisesRegex(StoryFailure, "p99 above 3 times the quiet run in each of 3 rounds"):
            self._measure(0.08)

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

    def test_survives_a_sequence_number_that_wraps(self):
        wire = _Read(_pcap(_segment(0xFFFFFFFD, capture.SYN, b""), _segment(0xFFFFFFFE, capture.ACK, b"ab"),
                           _segment(0, capture.ACK, b"cd")))
        self.assertEqual(list(wire.streams().values()), [b"abcd"])

    def test_does_not_join_across_a_hole(self):
        wire = _Read(_pcap(_segment(99, capture.SYN, b""), _segment(100, capture.ACK, b"ab"),
                           _segment(110, capture.ACK, b"cd")))
        self.assertFalse(wire.contains(b"abcd"))

    def test_reads_tls_records_and_stops_where_there_are_none(self):
        data = b"\x17\x03\x03\x00\x02hi" + b"GET / HTTP/1.1"
        self.assertEqual(capture.tls_records(data), [capture.Record(23, 0x0303, b"hi")])
        self.assertIsNone(capture.tls_negotiated_version(b"GET / HTTP/1.1\r\n"))

    def test_reads_the_version_that_a_server_chose(self):
        extension = struct.pack(">HHH", 43, 2, 0x0304)
        body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x13\x01\x00" + struct.pack(">H", len(extension)) + extension
        hello = b"\x02" + len(body).to_bytes(3, "big") + body
        self.assertEqual(capture.tls_negotiated_version(b"\x16\x03\x03" + struct.pack(">H", len(hello)) + hello), 0x0304)


class Expect(unittest.TestCase):
    def test_says_what_was_expected_and_what_came(self):
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
    def _tell(self, text):
        """(passed, what was printed) for a story of that text."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
            path = os.path.join(folder, "005_told.py")
            with open(path, "w") as file:
                file.write(text)
            return story.tell(path, os.path.join(folder, "logs"), keep=False), out.getvalue()

    def test_runs_what_is_shown_in_order(self):
        passed, said = self._tell('"""Order."""\ndef arrange(s): s.seen = []\ndef shows_b(s): s.seen.append(1)\n'
                                  'def shows_a(s): assert s.seen == [1]\n')
        self.assertTrue(passed)
        self.assertTrue(re.fullmatch(r"005 PASS \d+\.\d s Order\n", said), said)

    def test_says_where_and_why_a_story_fails(self):
        passed, said = self._tell('"""Wrong."""\nfrom handfast_harness import expect\n'
                                  'def shows_that_it_holds(s): expect(False, "it does not")\n')
        self.assertFalse(passed)
        self.assertIn("in shows that it holds: it does not", said)
        self.assertIn("logs: ", said)

    def test_ends_a_story_at_its_deadline_and_removes_what_it_made(self):
        passed, said = self._tell('"""Slow."""\nimport time, contextlib\nDEADLINE_S = 1\n@contextlib.contextmanager\n'
                                  'def thing():\n    yield\n    print("removed")\n'
                                  'def arrange(s): s.own(thing())\ndef shows_nothing(s): time.sleep(30)\n')
        self.assertFalse(passed)
        self.assertIn("deadline", said)
        self.assertIn("removed", said)

    def test_fails_a_story_that_cannot_be_loaded_or_shows_nothing(self):
        self.assertFalse(self._tell('"""Broken."""\nimport nothing_of_that_name\n')[0])
        self.assertFalse(self._tell('"""Empty."""\n')[0])

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


if __name__ == "__main__":
    unittest.main()
