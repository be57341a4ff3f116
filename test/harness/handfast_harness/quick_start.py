"""README's quick start by hand: its blocks as one script for bash, and what README shows of their output."""

import json
import re

from .expect import expect, expect_eq, expect_in

_HEADING = "\n## Quick start by hand\n"
# curl's own exit code is 7, 55 or 56: the reset comes before its poll, its request, or its answer.
REFUSED = ["ip netns exec shop curl -sS http://192.0.2.3:8001/", "ip netns exec control curl -sS http://192.0.2.3:8000/"]


class QuickStart:
    """QuickStart(text of README, blocks): bash runs script(), and read() takes its output. Then the expect_ functions."""

    def __init__(self, readme, blocks):
        self._shown = re.findall(r"^```text\n(.*?)^```", section_of(readme), re.M | re.S)
        self._blocks, self._output = blocks, {}

    def script(self):
        """The blocks, each after a line with its number. A command that fails leaves a line; bash goes on, as a shell does."""
        numbered = ["echo '=== %d'\n%s" % (number, block) for number, block in enumerate(self._blocks)]
        return "trap 'echo \"failed with $?: $BASH_COMMAND\"' ERR\n" + "".join(numbered)

    def read(self, code, output):
        """Every block ran, and no command failed but the two calls that are refused."""
        expect_eq(code, 0, "exit code of the quick start's last command (%s)" % output[-300:])
        sections = re.split(r"^=== \d+\n", output, flags=re.M)[1:]
        expect_eq(len(sections), len(self._blocks), "blocks that ran")
        self._output = dict(zip(self._blocks, sections))
        failed = re.findall(r"^failed with (\d+): (.*)", output, re.M)
        expect_eq([command for _, command in failed], REFUSED, "commands that failed")
        expect({code for code, _ in failed} <= {"7", "55", "56"}, "the refused calls are not reset: %r" % failed)

    def _of(self, command):
        """The output of the block with this command."""
        found = [output for block, output in self._output.items() if command in block]
        expect_eq(len(found), 1, "blocks with the command " + command)
        return found[0]

    def expect_sidecars(self):
        """The control plane answers, both sidecars are ready, and their rules are proven."""
        expect_in("0 attested sidecars", self._of("until handfast status"), "the control plane's status")
        proofs = self._of("handfast-sidecar wait")
        expect_eq((proofs.count("ready\n"), len(re.findall(r"^ok +outbound_ipv4", proofs, re.M))), (2, 2), "sidecars and rules")
        expect("failed " not in proofs, "handfast-init check failed: " + proofs)

    def expect_call(self):
        """The call's answer, and its line in the access log, have the fields and values that README shows."""
        shown = next(text for text in self._shown if text.startswith("HTTP/")).splitlines()
        lines = self._of("python3 -m http.server 8000").splitlines()
        expect_eq(len(lines), 2, "lines of the call: %r" % lines)
        expect_eq(lines[0].strip(), shown[0], "the answer")
        ours, theirs = json.loads(lines[1]), json.loads("".join(shown[1:]))
        expect_eq(list(ours), list(theirs), "fields of the access-log line")
        for field in ("direction", "reason", "encrypted", "destination", "endpoint", "source_id", "destination_id", "rule"):
            expect_eq(ours[field], theirs[field], field)

    def expect_refusals(self):
        """The page /why has the lines that README shows, and the refused plaintext."""
        shown = next(text for text in self._shown if '"reason": "denied"' in text)
        port = re.compile(r"(192\.0\.2\.[12]:)\d+")
        printed = port.sub(r"\1PORT", self._of("curl -s http://127.0.0.1:15000/why"))
        for line in port.sub(r"\1PORT", shown).splitlines():
            expect_in(line.strip(), printed, "the page /why")
        expect_in('"reason": "plaintext_refused"', printed, "the page /why")


def section_of(readme):
    """README's text between the heading of the quick start and the next one."""
    return readme.partition(_HEADING)[2].partition("\n## ")[0]
