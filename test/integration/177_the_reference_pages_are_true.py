"""docs/reference/ and the programs agree: settings, exit codes, metrics, close reasons, fields of the access log.

    control --- client: [sidecar] ==tunnel==> server: [sidecar] -> app; client -x-> a port without a listener"""

import json
import os
import re

from handfast_harness import Mesh, StreamServer, expect, expect_eq, expect_in, stream, wait_until

DEADLINE_S = 150
PAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "reference")
PROGRAMS = ("handfast-sidecar", "handfast-control", "handfast-init")
PORTS = {"handfast-sidecar": 15020, "handfast-control": 15014}


def arrange(story):
    story.mesh = Mesh(story, leaf_ttl="1h")
    story.own(StreamServer(story, story.mesh.server, 9000, "echo"))
    story.client = story.mesh.sidecar("client")


def _rows(page, section=None):
    """The cells of a page's table, or of the table below a heading."""
    with open(os.path.join(PAGES, page), encoding="utf-8") as file:
        text = file.read()
    if section is not None:
        text = text.partition("\n## %s\n" % section)[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip().replace("\\|", "|").strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def _run(story, program, *words):
    return json.loads(story.mesh.client.run([story.binary(program), *words, "--output", "json"]).stdout)


def shows_that_keys_prints_the_settings_of_the_page(story):
    for program in PROGRAMS:
        printed = [[row["key"], row["type"] + (" (%s)" % row["unit"] if row["unit"] else "")
                    + (", file only" if row["in_file_only"] else ""), row["range"] or "any", row["default"] or "none",
                    row["takes_effect"], row["help"]] for row in _run(story, program, "--keys")]
        expect_eq(printed, _rows("settings.md", program), "--keys of " + program)
    expect_eq(_run(story, "handfast", "--keys"), [], "--keys of handfast")


def shows_that_the_sidecar_has_every_setting_of_the_page_in_force(story):
    shown = {row["key"]: row for row in story.client.admin("/config")["settings"]}
    for key, _, _, default, _, _ in _rows("settings.md", "handfast-sidecar"):
        expect("[" in key or key in shown, "%s is not in /config" % key)
        if key in shown and shown[key]["origin"] == "default":
            expect_eq(shown[key]["value"] or "none", default, "the default of " + key)


def shows_that_the_control_plane_lists_every_setting_of_the_page_in_force(story):
    control = story.mesh.control
    shown = {row["key"]: row for row in json.loads(control.run("settings", "--output", "json").stdout)["settings"]}
    for key, _, _, default, _, _ in _rows("settings.md", "handfast-control"):
        expect("[" in key or key in shown, "%s is not among the settings in force" % key)
        if key in shown and shown[key]["origin"] == "default":
            expect_eq(shown[key]["value"] or "none", default, "the default of " + key)
    expect_eq((shown["identity.leaf_ttl"]["value"], shown["identity.leaf_ttl"]["from"]), ("1h", "file"), "identity.leaf_ttl")
    control.reload({"limits": {"max_handshakes": 99}})
    control.process.wait_for_log("only after a restart: limits.max_handshakes")
    expect_in("limits.max_handshakes: 96 (default); after a restart: 99\n", control.run("settings").stdout, "what waits")


def shows_that_help_has_the_exit_codes_of_the_page(story):
    page = {code: meaning.rstrip(".").lower() for code, meaning in _rows("exit-codes.md")}
    for program in PROGRAMS + ("handfast",):
        printed = {code: text.lower() for code, text in _run(story, program, "--help")["exit_codes"].items()}
        expect_eq(printed, page, "exit codes of " + program)


def _metrics(story, program):
    host = story.mesh.client if program == "handfast-sidecar" else story.mesh.control.host
    return host.http("http://127.0.0.1:%d/metrics" % PORTS[program])[1].decode()


def shows_that_metrics_are_those_of_the_page(story):
    # a partner, which nothing serves: its metrics are there
    story.mesh.control.reload({"federation": {"partners": [
        {"trust_domain": "partner.test", "url": "https://127.0.0.1:1/", "profile": "https_web"}]}})
    wait_until("metrics of the partner", lambda: 'trust_domain="partner.test"' in _metrics(story, "handfast-control"))
    for program in PORTS:
        text = _metrics(story, program)
        kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
        helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
        page = {name: (kind, sentence) for name, kind, _, sentence in _rows("metrics.md", program)}
        expect_eq({name: (kinds[name], helps[name]) for name in kinds}, page, "metrics of " + program)
        for name, _, labels, _ in _rows("metrics.md", program):
            stated = set(re.findall(r"(?:^|; )(\w+): ", labels))
            rows = re.findall(r"^%s(?:_bucket|_sum|_count)?(?:\{(.*)\})? " % name, text, re.M)
            printed = {label for row in rows for label in re.findall(r'(\w+)="', row)} - {"le"}
            expect_eq(printed, stated, "labels of " + name)


def shows_that_close_reasons_are_those_of_the_page(story):
    text = _metrics(story, "handfast-sidecar")
    printed = set(re.findall(r'^handfast_connections_closed_total\{.*reason="(\w+)"', text, re.M))
    expect_eq(printed, {row[0] for row in _rows("close-reasons.md")}, "close reasons")


def _fields(value, above=""):
    for name, inner in value.items():
        yield above + name
        if isinstance(inner, dict):
            yield from _fields(inner, above + name + ".")


def shows_that_lines_of_the_access_log_have_the_fields_of_the_page(story):
    kinds = {"text": str, "boolean": bool, "number": int, "object": dict}
    page = {name: kinds[kind] for name, kind, _ in _rows("access-log.md")}
    expect_eq(stream.attempt(story.mesh.client, story.mesh.server.ipv4, 9000, b"x", uid=1000)[0], b"x", "the answer")
    stream.attempt(story.mesh.client, story.mesh.server.ipv4, 9001, b"x", uid=1000)
    done = story.client.wait_for_access(direction="outbound", reason="done")
    story.client.wait_for_access(direction="outbound", reason="connect_refused")
    failed = story.client.access_log(direction="outbound", reason="connect_refused")[0]
    expect({"time", "source", "destination_id", "bytes_sent", "encrypted"} <= set(done), "fields of %s" % done)
    expect({name for name in page if name.startswith("detail.")} <= set(_fields(failed)), "fields of %s" % failed)
    for line in (done, failed):
        for name in _fields(line):
            expect(name in page, "%s is not on the page" % name)
            if "." not in name:
                expect(isinstance(line[name], page[name]), "%s is %r" % (name, line[name]))
    reasons = {row[0] for row in _rows("close-reasons.md")}
    expect({done["reason"], failed["reason"]} <= reasons, "reasons that the page lacks")
