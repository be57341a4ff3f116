#!/usr/bin/env python3
"""Makes the pages of docs/reference/ from the .def tables that the programs are built from, and compares the example files
with the settings' tables. Prints a line per finding, then `N passed, N failed`. house_rules.py runs it as a rule.

    reference.py            compares
    reference.py --write    writes the pages"""

import collections
import re
import sys

from tree import ROOT, report

FOLDER = "docs/reference"
SETTINGS = {"handfast-sidecar": "sidecar/settings.def", "handfast-control": "control/config/settings.def",
            "handfast-init": "intercept/settings.def", "handfast-cni": "intercept/cni/settings.def"}
PREFIXES = {"handfast-sidecar": "HANDFAST_SIDECAR", "handfast-control": "HANDFAST_CONTROL", "handfast-init": "HANDFAST_INIT",
            "handfast-cni": "HANDFAST_CNI"}
METRICS = {"handfast-sidecar": "sidecar/report/metrics.def", "handfast-control": "control/report/metrics.def"}
METRICS_OF_TABLES = "sidecar/report/sidecar_metrics.c"
RENAMED = {"handfast-sidecar": "sidecar/renamed_settings.def", "handfast-control": "control/config/renamed_settings.def",
           "handfast-init": "intercept/renamed_settings.def"}
EXAMPLES = {"docker/sidecar.example.yaml": "handfast-sidecar", "docker/control.example.yaml": "handfast-control"}
TYPES = {"TEXT": "text", "PATH": "path", "KEYWORD": "keyword", "BOOL": "boolean", "NUMBER": "number", "DURATION": "duration", "SIZE": "size",
         "TEXTS": "list of texts", "NUMBERS": "list of numbers", "NETWORKS": "list of networks", "SECTIONS": "list of sections"}
KINDS = {"METRIC_COUNTER": "counter", "METRIC_GAUGE": "gauge", "METRIC_COUNTER_MS": "counter", "METRIC_GAUGE_MS": "gauge"}
DIRECTIONS = ("outbound", "inbound", "inbound_plain")

Setting = collections.namedtuple("Setting", "key type unit range default effect help")
Metric = collections.namedtuple("Metric", "name kind labels help")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def rows(path, macro):
    """The arguments of each row of a table, with the comment behind it as the last one. Strings lose their quotes."""
    for line in read(path).splitlines():
        match = re.match(rf"{macro}\((.*)\)(?: /\* (.*) \*/)?$", line)
        if match:
            yield arguments(match[1]) + ([match[2]] if match[2] else [])


def arguments(text):
    """Cuts at the commas outside strings and parentheses; adjacent strings are one, and a symbol between them is {symbol}."""
    found, depth = [[]], 0
    for token in re.findall(r'"(?:[^"\\]|\\.)*"|[(),]|[^"(),]+', text):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == "," and depth == 0:
            found.append([])
        else:
            found[-1].append(token)
    return [joined([token for token in tokens if token.strip()]) for tokens in found]


def joined(tokens):
    if not any(token.startswith('"') for token in tokens):
        return "".join(tokens).strip()
    return "".join(re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else "{%s}" % token.strip() for token in tokens)


def cell(text):
    return text.replace("|", "\\|")


def table(heads, lines):
    out = ["| %s |" % " | ".join(heads), "|%s" % ("---|" * len(heads))]
    return "\n".join(out + ["| %s |" % " | ".join(map(cell, line)) for line in lines]) + "\n"


def page(title, sources, *parts):
    made = "<!-- Made by test/lint/reference.py from %s: change the table, then run it with --write. -->" % ",\n".join(sources)
    return "# %s\n\n%s\n\n%s" % (title, made, "\n".join(parts))


# --- settings ---

def settings_of(program):
    for key, kind, unit, limits, default, part, sentence in rows(SETTINGS[program], "SETTING"):
        yield Setting(key, TYPES[kind], unit, limits, default, "restart" if part == "RESTART" else "reload", sentence)


def is_in_file_only(setting):
    return setting.type == "list of sections" or "[" in setting.key


def settings_table(program):
    lines = []
    for row in settings_of(program):
        kind = row.type + (" (%s)" % row.unit if row.unit else "") + (", file only" if is_in_file_only(row) else "")
        default = row.default if row.default in ("required", "automatic") else "`%s`" % row.default if row.default else "none"
        lines.append(("`%s`" % row.key, kind, row.range or "any", default, row.effect, row.help))
    return table(("setting", "type", "range", "default", "takes effect at", "what it is"), lines)


def reload_sentence(program):
    keys = ["`%s`" % row.key for row in settings_of(program) if row.effect == "reload" and "[" not in row.key]
    return " SIGHUP takes over a change of %s; any other waits for a restart." % ", ".join(keys) if keys else ""


def settings_page():
    parts = ["""`PROGRAM --keys` prints the same rows. A setting is a key of the YAML file that `--config` names, a variable
and a flag: `timeouts.connect` is `HANDFAST_SIDECAR_TIMEOUTS_CONNECT` and `--timeouts.connect`. A flag takes precedence over
the environment, and the environment over the file. An empty variable counts as not set. A list in a variable or a flag is
separated by commas. `--check` reads all of them, reports every error, and exits.

Durations are written as `250ms`, `5s`, `10m`, `1h` or `7d`; sizes as `4096`, `32KiB`, `64MiB` or `1GiB`. `required`: there is
no default. `automatic`: the program computes the number; the word may also be written.

SIGHUP reads the settings again. Either all of them are free of errors, or none is taken over. A change of a setting that
takes effect at a restart is logged by name and shown as `after_restart` by the sidecar's page `/config`, which has every
setting with its value and where it came from. `handfast settings` lists those of the control plane.
"""]
    for program in SETTINGS:
        note = ("; it has no file, and each run reads its settings anew" if program == "handfast-init" else "")
        parts.append("## %s\n\nVariables begin with `%s_`%s.%s\n\n%s"
                     % (program, PREFIXES[program], note, reload_sentence(program), settings_table(program)))
    renamed = [("`%s`" % old, "`%s`" % new, program) for program in RENAMED for old, new in rows(RENAMED[program], "RENAMED")]
    parts.append("## Names of 0.1.0\n\nThe former names are refused with the new ones.\n\n"
                 + table(("former name", "name", "program"), renamed))
    parts.append("`handfast` has no settings but its flags, which `handfast --help` lists.\n")
    return page("Settings", list(SETTINGS.values()), *parts)


# --- metrics ---

def labels(text):
    """{label: value} of name="value",name="value"."""
    return dict(re.findall(r'(\w+)="([^"]*)"', text))


def metric_rows(program):
    for line in read(METRICS[program]).splitlines():
        match = re.match(r"(METRIC|METRIC_DURATION|METRIC_ROWS|METRIC_OF_PARTNER)\((.*)\)$", line)
        if match and match[1] == "METRIC":
            _, kind, name, of, sentence = arguments(match[2])
            yield name, KINDS[kind], labels(of.replace("{HANDFAST_VERSION}", "RELEASE")), sentence
        elif match and match[1] == "METRIC_ROWS":
            name, of, sentence = arguments(match[2])
            yield name, "gauge", {label: value.replace(",", ", ") for label, value in labels(of).items()}, sentence
        elif match and match[1] == "METRIC_OF_PARTNER":
            _, kind, name, sentence = arguments(match[2])
            yield name, KINDS[kind], {"trust_domain": "of a partner"}, sentence
        elif match:
            _, name, of, sentence = arguments(match[2])
            yield name, "histogram", labels(of), sentence
    if program == "handfast-sidecar":
        yield from rows_of_tables()


def rows_of_tables():
    """Those that sidecar_metrics.c makes of other tables."""
    defines = dict(re.findall(r'^#define (\w+)\s+"(.*)"$', read(METRICS_OF_TABLES), re.M))
    for direction in DIRECTIONS:
        for row in rows("sidecar/conn/close_reason.def", "CLOSE_REASON"):
            yield defines["CLOSED_NAME"], "counter", {"direction": direction, "reason": row[1]}, defines["CLOSED_HELP"]
    for direction in DIRECTIONS[:2]:
        for row in rows("base/core/errors.def", "ERROR"):
            yield defines["HANDSHAKE_NAME"], "counter", {"direction": direction, "error": row[1]}, defines["HANDSHAKE_HELP"]


def metrics_of(program):
    found = {}
    for name, kind, of, sentence in metric_rows(program):
        metric = found.setdefault(name, Metric(name, kind, {}, sentence))
        for label, value in of.items():
            values = metric.labels.setdefault(label, [])
            if value not in values:
                values.append(value)
    return found.values()


def labels_text(metric):
    if {"direction", "reason"} <= set(metric.labels):
        metric.labels["reason"] = ["a [close reason](close-reasons.md)"]
    return "; ".join("%s: %s" % (label, ", ".join(values)) for label, values in metric.labels.items()) or "none"


def metrics_page():
    parts = ["""The sidecar serves them at port 15020 (`ports.metrics`), the control plane at port 15014 (`listen.metrics_port`),
as `/metrics` in Prometheus' text format. Every label has a bounded set of values, which are all listed here.
A histogram `NAME` has the rows `NAME_bucket`, `NAME_sum` and `NAME_count`.
"""]
    for program in METRICS:
        lines = [("`%s`" % metric.name, metric.kind, labels_text(metric), metric.help) for metric in metrics_of(program)]
        parts.append("## %s\n\n%s" % (program, table(("metric", "type", "labels", "what it is"), lines)))
    return page("Metrics", list(METRICS.values()) + [METRICS_OF_TABLES], *parts)


# --- the other pages ---

def close_reasons_page():
    path = "sidecar/conn/close_reason.def"
    lines = [("`%s`" % label, "failure" if failed == "true" else "no failure", status, meaning[0].upper() + meaning[1:] + ".")
             for _, label, status, failed, meaning in rows(path, "CLOSE_REASON")]
    return page("Close reasons", [path], """Every connection ends with one of these reasons. It appears in the access log (`reason`), in the metric
`handfast_connections_closed_total` and, where the connection was refused through a tunnel, in the header `handfast-reason`
of the answer with the status below.
""", table(("reason", "counts as", "status", "meaning"), lines))


def access_log_page():
    path = "sidecar/report/access_log_fields.def"
    kinds = {"text": "text", "time": "text", "addr": "text", "id": "text", "bool": "boolean", "number": "number", "detail": "object"}
    lines = [("`%s`" % name, kinds[put.removeprefix("put_")], text) for name, put, _, text in rows(path, "ACCESS_FIELD")]
    inner = [("`detail.%s`" % name, "text", text) for name, _, text in rows(path, "ACCESS_DETAIL_FIELD")]
    return page("Access log", [path], """One JSON object per line and per connection, on the sidecar's standard output, when the connection ends.
`access_log` selects the connections ([settings](settings.md)). A field without a value is left out.
""", table(("field", "type", "what it is"), lines + inner), """Two lines are not about one connection. `reason` is `lines_suppressed` where one source or identity caused too many
lines: `suppressed_reason`, `of` (the source or identity), `suppressed_lines` and `duration_ms` describe them. `reason` is
`lines_lost` where the reader of the log was too slow: `lost_lines` is their number.
""")


def exit_codes_page():
    path = "base/settings/command_line/exit_codes.def"
    lines = [(number, text[0].upper() + text[1:] + ".") for _, number, text in rows(path, "EXIT_CODE")]
    return page("Exit codes", [path], """All programs use them, and `--help` of each lists them. The numbers above 63 are those of sysexits(3).
""", table(("code", "meaning"), lines))


PAGES = {"settings.md": settings_page, "metrics.md": metrics_page, "close-reasons.md": close_reasons_page,
         "access-log.md": access_log_page, "exit-codes.md": exit_codes_page}


# --- the example files ---

def example_values(text):
    """{key: value} of an example, with what stands commented; lists of sections are left out."""
    found, above = {}, []
    for line in text.splitlines():
        match = re.match(r"( *)(?:# )?( *)([a-z_0-9]+):(?: +(.*?))?(?: +#.*)?$", line)
        if match:
            above = above[:len(match[1] + match[2]) // 2] + [match[3]]
            found[".".join(above)] = match[4] or ""
    return found


def examples():
    for path, program in EXAMPLES.items():
        values = example_values(read(path))
        for row in settings_of(program):
            if "[" in row.key:
                continue
            if row.key not in values:
                yield f"{path}: nothing about {row.key}"
            elif row.default not in ("", "required", "automatic") and values[row.key] != row.default:
                yield f"{path}: {row.key} is {values[row.key]!r}, its default is {row.default!r}"


def findings():
    for name, make in PAGES.items():
        path = ROOT / FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != make():
            yield f"{FOLDER}/{name}: differs from its table; run test/lint/reference.py --write"
    yield from examples()


def main():
    if sys.argv[1:] == ["--write"]:
        (ROOT / FOLDER).mkdir(exist_ok=True)
        for name, make in PAGES.items():
            (ROOT / FOLDER / name).write_text(make(), encoding="utf-8")
    found = list(findings())
    return report(0 if found else 1, found)


if __name__ == "__main__":
    sys.exit(main())
