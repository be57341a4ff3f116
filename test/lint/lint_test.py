#!/usr/bin/env python3
"""The lint's own tests: each rule about documents and words lets through what is right and names what is wrong."""

import pathlib
import sys
import tempfile
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import dead_code
import document_names
import documented_commands
import documents
import folder_readmes
import monitoring
import reference
import retired_words
import site_check
import sleeps
import texts
import threats

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "site"))
import build  # noqa: E402 (the path must be set first)

HEADING = retired_words.HEADING
TABLE = f"""# Glossary
{HEADING}

| retired | write | matches | only in |
|---|---|---|---|
| mail | post | `mail(?:s\\|ed)?` | |
| view (conn) | worker snapshot | `views?` | sidecar/ |
| because (field) | reason | `(?<=_)because` | |
| runway | time to expiry | `runway` | |
"""


def found(rule, texts, names=()):
    return list(rule(documents.Tree(texts, names)))


class FakeTree(dead_code.Tree):
    """Texts and tags of a test in place of the tree's."""

    def __init__(self, code, tags, tests=()):
        self.code, self.tests = code, set(tests)
        self.words = {name: dead_code.words_of(text) for name, text in code.items()}
        self.tags = [{"kind": kind, "path": path, "line": 1, "name": name} for kind, path, name in tags]


class DeadCode(unittest.TestCase):
    HEADER = [("prototype", "a.h", "a_run"), ("function", "a.c", "a_run")]

    def test_a_function_that_another_file_calls_is_alive(self):
        tree = FakeTree({"a.h": "void a_run(void);", "a.c": "void a_run(void) {}", "b.c": "a_run();"}, self.HEADER)
        self.assertEqual(list(dead_code.nothing_is_for_tests_alone(tree, {})), [])
        self.assertEqual(list(dead_code.nothing_is_declared_for_its_own_file(tree)), [])

    def test_a_function_that_only_a_test_calls_is_dead_unless_it_has_a_reason(self):
        code = {"a.h": "void a_run(void);", "a.c": "void a_run(void) {}", "a_test.c": "a_run();"}
        tree = FakeTree(code, self.HEADER, ["a_test.c"])
        self.assertEqual(list(dead_code.nothing_is_for_tests_alone(tree, {})), ["a.c:1: nothing but tests calls a_run()"])
        self.assertEqual(list(dead_code.nothing_is_for_tests_alone(tree, {"a_run": "a reason"})), [])

    def test_a_reason_for_what_is_called_goes(self):
        tree = FakeTree({"a.h": "void a_run(void);", "a.c": "void a_run(void) {}", "b.c": "a_run();"}, self.HEADER)
        self.assertEqual(list(dead_code.nothing_is_for_tests_alone(tree, {"a_run": "a reason"})),
                         ["a_run: does not exist or is called now; remove it from ONLY_TESTS_CALL"])

    def test_a_function_of_one_file_is_static(self):
        tree = FakeTree({"a.h": "void a_run(void);", "a.c": "void a_run(void) {} a_run();"}, self.HEADER)
        self.assertEqual(list(dead_code.nothing_is_declared_for_its_own_file(tree)), ["a.h:1: no other file uses a_run()"])

    def test_a_macro_of_a_header_counts_as_a_use(self):
        tree = FakeTree({"a.h": "void a_run(void);\n#define A() a_run()", "a.c": "void a_run(void) {}"}, self.HEADER)
        self.assertEqual(list(dead_code.nothing_is_declared_for_its_own_file(tree)), [])

    def test_a_constant_that_nothing_uses_is_named(self):
        tree = FakeTree({"a.h": "enum { A_ONE, A_TWO };", "a.c": "A_TWO"}, [("enumerator", "a.h", "A_ONE"), ("enumerator", "a.h", "A_TWO")])
        self.assertEqual(list(dead_code.nothing_is_only_declared(tree, {})), ["a.h:1: nothing uses A_ONE"])
        self.assertEqual(list(dead_code.nothing_is_only_declared(tree, {"A_ONE": "a reason"})), [])

    def test_a_member_that_is_only_written_is_named(self):
        code = {"a.h": "struct a { int set, got, at; };", "a.c": "a->set = 1; a->got = 2; *a->at = 3; use(a->got);"}
        tree = FakeTree(code, [("member", "a.h", name) for name in ("set", "got", "at")])
        self.assertEqual(list(dead_code.nothing_is_only_written(tree, {})), ["a.h:1: nothing reads set"])
        self.assertEqual(list(dead_code.nothing_is_only_written(tree, {"set": "a reason"})), [])


class Documents(unittest.TestCase):
    def test_a_document_is_found_from_the_top_beside_its_citation_or_in_docs(self):
        texts = {"docs/design.md": "", "certs/README.md": "", "a/x.c": "/* docs/design.md, design.md */",
                 "certs/y.h": "/* README.md, certs/README.md */", "docs/z.md": "../certs/README.md"}
        self.assertEqual(found(documents.documents_exist, texts), [])

    def test_a_document_that_is_not_there_is_named_with_its_place(self):
        self.assertEqual(found(documents.documents_exist, {"a/x.c": "\n/* see docs/nothing.md */"}),
                         ["a/x.c:2: docs/nothing.md: no such document"])

    def test_a_pattern_of_names_is_no_citation(self):
        self.assertEqual(found(documents.documents_exist, {"x.py": 'tracked("*README.md", "docs/*.md")'}), [])

    def test_one_release_is_named_everywhere(self):
        texts = {documents.RELEASE: '#define HANDFAST_VERSION "2.1.0"', "README.md": "Version 2.1.0, see",
                 "CHANGES.md": "# Changes\n\n## 2.1.0\n\n## 2.0.0\n", "a.yaml": "image: x/handfast-cni:2.1.0"}
        self.assertEqual(found(documents.texts_name_the_release, texts), [])
        self.assertEqual(found(documents.texts_name_the_release, {**texts, "CHANGES.md": "## Unreleased\n## 2.1.0\n"}), [])
        old = {"README.md": "Version 2.0.0, see", "CHANGES.md": "## Unreleased\n## 2.0.0\n", "a.yaml": "\nx/handfast-cni:2.0.0"}
        self.assertEqual([line.split(": ")[0] for line in found(documents.texts_name_the_release, {**texts, **old})],
                         ["a.yaml:2", "README.md", "CHANGES.md"])

    def test_a_section_that_is_cited_is_a_heading(self):
        texts = {"docs/design.md": "# Design\n## Folders\n", "x.py": '# docs/design.md, "Folders"; design.md, "Rooms"'}
        self.assertEqual(found(documents.sections_exist, texts), ["x.py:1: design.md has no section 'Rooms'"])

    def test_decisions_and_stories_are_known_by_number(self):
        texts = {"x.c": "/* decision 034, decisions 001 and 034; docs/decisions/001; story 020, stories 020 to 023 */"}
        names = ["docs/decisions/001-a.md", "docs/decisions/034-b.md", "test/integration/020_a.py", "test/integration/023_b.py"]
        self.assertEqual(found(documents.decisions_exist, texts, names), [])
        self.assertEqual(found(documents.stories_exist, texts, names), [])
        self.assertEqual(found(documents.decisions_exist, texts, names[1:]),
                         ["x.c:1: decision 001: no such decision", "x.c:1: decision 001: no such decision"])
        self.assertEqual(len(found(documents.stories_exist, texts, names[:3])), 1)

    def test_a_protocol_names_tests_that_exist_and_none_is_left_out(self):
        head = "| protocol | tested by |\n|---|---|\n"
        story = "def shows_a(story):\n    with carried(story.mesh, 1) as m:\n        pass\n\n\ndef shows_b(story):\n    pass\n"
        judged = lambda row: found(documents.protocols_are_tested, {"docs/protocols.md": head + row, "test/integration/300_x.py": story})
        self.assertEqual(judged("| A | `300:shows_a`, `300:shows_b` |\n"), [])
        self.assertEqual(judged("| A | `300:shows_a` |\n| B | none |\n"), ["docs/protocols.md: names no test: | B | none |"])
        self.assertEqual(judged("| A | `300:shows_a`, `300:shows_c`, `301:shows_a` |\n"),
                         ["docs/protocols.md: story 300 has no shows_c", "docs/protocols.md: story 301 has no shows_a"])
        self.assertEqual(judged("| B | `300:shows_b` |\n"), ["docs/protocols.md: has no row for 300:shows_a"])

    def test_a_rule_of_the_style_is_known_by_number(self):
        texts = {"docs/style.md": "1. One.\n2. Two.\n", "x.py": "# docs/style.md, rule 2; style 3"}
        self.assertEqual(found(documents.style_rules_exist, texts), ["x.py:1: rule 3: no such rule in docs/style.md"])

    def test_a_file_that_a_document_names_exists(self):
        texts = {"a/README.md": "`a/x.c`, `b/y.c`, `c/z.def`", "a/x.c": "", "a/b/y.c": ""}
        self.assertEqual(found(documents.files_exist, texts), ["a/README.md:1: c/z.def: no such file"])

    def test_a_source_file_that_a_comment_or_a_readme_cites_exists(self):
        texts = {"a/x.c": "/* see a/none.c and a/x.c */", "a/README.md": "`none.h`, `x.c`\n", "b.md": "see a/none.py here\n"}
        self.assertEqual(found(documents.cited_files_exist, texts), [
            "a/x.c:1: a/none.c: no such file", "b.md:1: a/none.py: no such file", "a/README.md:1: none.h: no such file"])

    def test_each_document_is_listed(self):
        texts = {"docs/README.md": "[a](a.md)", "docs/a.md": "", "docs/b.md": "", "docs/decisions/001-c.md": ""}
        self.assertEqual(found(documents.documents_are_listed, texts), ["docs/README.md: nothing about b.md"])

    def test_a_line_of_a_document_fits_a_page(self):
        texts = {"docs/a.md": "x" * 120 + "\n" + "x" * 121, "README.md": "x" * 120, "a/README.md": "x" * 121, "docs/threats.md": "x" * 121}
        self.assertEqual(found(documents.lines_fit, texts), ["docs/a.md:2: 121 characters"])

    def test_a_link_leads_to_a_file_a_folder_and_a_heading(self):
        texts = {"docs/a.md": "# One `two`, three!\n[self](#one-two-three) [up](../b.md#x) [folder](../src/) [out](https://example.org/x)\n"
                              "[by label][L]\n\n[l]: ../b.md\n", "b.md": "## X\n", "src/x.c": ""}
        self.assertEqual(found(documents.links_resolve, texts), [])

    def test_a_link_that_leads_nowhere_is_named(self):
        texts = {"a.md": "[a](b.md) [b](#none) [c][d]\n"}
        self.assertEqual(found(documents.links_resolve, texts),
                         ["a.md:1: [d]: no such label", "a.md:1: b.md: no such file", "a.md:1: #none: no such heading"])

    def test_code_has_no_links_and_a_heading_that_comes_twice_has_two_anchors(self):
        texts = {"a.md": "# A\n# A\n`x[1](y)`\n\n    x[2](z)\n\n```\nq[3](w)\n# B\n```\n[a](#a-1)\n"}
        self.assertEqual(found(documents.links_resolve, texts), [])
        self.assertEqual(documents.anchors(texts["a.md"]), {"a", "a-1"})


class RetiredWords(unittest.TestCase):
    def setUp(self):
        self.rows = {row.name: row for row in retired_words.read_rows(TABLE)}

    def _count(self, name, text, file="x.c"):
        return sum(1 for _ in retired_words.places(self.rows[name], {file: text.lower()}))

    def test_the_table_of_the_glossary_is_whole(self):
        text = (retired_words.ROOT / retired_words.GLOSSARY).read_text(encoding="utf-8")
        rows = retired_words.read_rows(text)
        self.assertGreater(len(rows), 30)
        for row in rows:
            self.assertEqual(row.pattern.pattern, row.pattern.pattern.lower(), row.name)
            self.assertTrue(row.write, row.name)

    def test_a_row_without_an_expression_is_refused(self):
        for row in ("| hog | bulk | | |", "| hog | bulk |", "| mail | post | `mail` | |"):
            with self.assertRaises(ValueError, msg=row):
                retired_words.read_rows(TABLE + row)
        with self.assertRaises(ValueError):
            retired_words.read_rows("# Glossary")

    def test_whole_words_are_counted_and_an_underscore_ends_one(self):
        self.assertEqual(self._count("mail", "mail, Mails; LOOP_MAIL loop_mailed"), 4)
        self.assertEqual(self._count("mail", "email mailer blackmail"), 0)
        self.assertEqual(self._count("because (field)", "refused_because because"), 1)

    def test_a_row_may_be_limited_to_a_folder_and_names_of_files_count(self):
        self.assertEqual(self._count("view (conn)", "view"), 0)
        self.assertEqual(self._count("view (conn)", "view", "sidecar/conn/view.h"), 2)

    def test_glossary_and_decisions_are_exempt_and_old_settings_are_named_where_they_are_refused(self):
        for file in ("docs/glossary.md", "docs/decisions/001-a.md", "test/lint/retired_words.budget"):
            self.assertEqual(self._count("mail", "mail", file), 0)
        self.assertEqual(self._count("runway", "runway", "CHANGES.md"), 0)
        self.assertEqual(self._count("mail", "mail", "CHANGES.md"), 1)

    def test_a_count_above_its_budget_is_named_with_the_word_to_write(self):
        rows, budget = list(self.rows.values()), {"mail": 1, "view (conn)": 2, "because (field)": 0, "runway": 0}
        counts = {"mail": 2, "view (conn)": 1, "because (field)": 0, "runway": 0}
        judged = list(retired_words.judge(rows, counts, budget))
        self.assertEqual(len(judged), 1)
        self.assertRegex(judged[0], "^mail: 2 times, at most 1: write 'post'")

    def test_rows_and_budget_name_the_same_words(self):
        judged = list(retired_words.judge([self.rows["mail"]], {"mail": 0}, {"hog": 3}))
        self.assertEqual(len(judged), 2)

    def test_a_budget_falls_and_never_rises(self):
        rows = [self.rows["mail"], self.rows["runway"]]
        self.assertEqual(retired_words.lowered(rows, {"mail": 1, "runway": 9}, {"mail": 4, "runway": 5}), "1 mail\n5 runway\n")
        self.assertEqual(retired_words.read_budget("1 mail\n5 view (conn)\n"), {"mail": 1, "view (conn)": 5})
        conflict = "<<<<<<< HEAD\n1 mail\n=======\n3 mail\n>>>>>>> b43ddf6 (lint)\n"
        self.assertEqual(retired_words.read_budget(conflict), {"mail": 1})


def main():
    ran = unittest.TextTestRunner(verbosity=1).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    failed = len(ran.failures) + len(ran.errors)
    print(f"{ran.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


class Reference(unittest.TestCase):
    def test_a_row_is_cut_at_its_commas_outside_of_texts(self):
        self.assertEqual(reference.arguments('"a, b", KIND, f(x, y), "c \\"d\\"" VERSION "e"'),
                         ["a, b", "KIND", "f(x, y)", 'c "d"{VERSION}e'])

    def test_an_example_shows_values_also_where_they_are_commented(self):
        text = ("# log:\n#   level: notice   # of four\nmesh:\n  networks: [192.0.2.0/24]\n  # claim_grace: 1d\n"
                "# Prose: no key.\nname: a\n")
        self.assertEqual(reference.example_values(text), {
            "log": "", "log.level": "notice", "mesh": "", "mesh.networks": "[192.0.2.0/24]", "mesh.claim_grace": "1d",
            "name": "a"})

    def test_labels_of_one_metric_are_listed_together(self):
        names = {metric.name: metric for metric in reference.metrics_of("handfast-sidecar")}
        self.assertEqual(names["handfast_streams_total"].labels, {"direction": ["outbound", "inbound"]})
        self.assertEqual(names["handfast_connect_duration_seconds"].kind, "histogram")


class Monitoring(unittest.TestCase):
    KNOWN = {"up": {}, "a_total": {"reason": ["denied", "idle"], "sha256": ["16 digits"]}, "b_bucket": {"direction": ["inbound"]}}

    def gaps(self, expression):
        return list(monitoring.gaps_of(expression, self.KNOWN))

    def test_metrics_labels_and_values_of_the_tables_are_no_finding(self):
        for expression in ('sum by (job, reason) (rate(a_total{reason=~"denied|idle", sha256="00"}[5m])) > 5', 'up{job=~"(.+/)?a"} == 0',
                           "histogram_quantile(0.99, sum by (direction, le) (rate(b_bucket[5m]))) unless on (job) up == 0",
                           "increase(a_total[1d] offset 10m) / time() and a_total"):
            self.assertEqual(self.gaps(expression), [], expression)

    def test_what_no_table_has_is_named(self):
        self.assertEqual(self.gaps("rate(c_total[5m])"), ["c_total: no such metric"])
        self.assertEqual(self.gaps('a_total{cause="denied"}'), ["a_total has no label cause"])
        self.assertEqual(self.gaps('a_total{reason!~"denied|tired"}'), ["a_total: reason is never tired"])
        self.assertEqual(self.gaps("sum by (direction) (a_total)"), ["no metric of the expression has the label direction"])


class Threats(unittest.TestCase):
    def test_a_code_alone_is_an_abuse_case(self):
        self.assertEqual(threats.cited("/* W9, W21: once (T7, D4-D13). T1. */"), ([], ["W9", "W21", "T7", "D4", "D13", "T1"]))

    def test_a_finding_is_named_as_one(self):
        self.assertEqual(threats.cited("finding T2; findings L1 to L4, L8 and T11. Rows: L9, T1."),
                         (["T2", "L1", "L4", "L8", "T11", "L9", "T1"], []))

    def test_what_only_looks_like_a_code_is_none(self):
        self.assertEqual(threats.cited("P-256, RFC 8446 4.2, TLS1.3, X25519, UTF-8, 100%C3, D3-like, S2N, a/L4"), ([], []))

    def test_a_name_begins_with_its_codes(self):
        names = {"W9_W21_refuses": ["W9", "W21"], "c7_t9_x": ["C7", "T9"], "T5_finding_t7_cuts": ["T5"], "finding_t2_x": [],
                 "finding_l9_and_t10_x": [], "case_finding_t2_x": [], "refuses_d12_x": [], "l4_x": ["L4"]}
        self.assertEqual({name: threats.codes_of_name(name) for name in names}, names)

    def test_a_row_names_a_test_that_exists_or_a_reason(self):
        functions = {"a_test.c": ["D1_x", "y"]}
        with unittest.mock.patch.object(threats, "functions_of", functions.get):
            gaps = lambda held_by: list(threats.gaps_of("D1", held_by))
            self.assertEqual(gaps("`a_test.c`: `D1_*`, `y`"), [])
            self.assertEqual(gaps("no test yet: not built"), [])
            self.assertEqual(gaps("`a_test.c`: `y`; no test yet for the other half"), [])
            self.assertEqual(gaps("`b_test.c`: `y`<br>`a_test.c`: `z`"), ["D1: no file b_test.c", "D1: a_test.c has no function z"])
            self.assertEqual(len(gaps("no test yet")), 1)
            self.assertEqual(len(gaps("a_test.c")), 1)


class DocumentedCommands(unittest.TestCase):
    TABLES = {"STORY": {"a.md": [("one", "host"), ("two", "host")]}, "NOT_RUN": {"a.md": {"gdb": "no package"}},
              "ELSEWHERE": {"a.md": {"demo": ("docker/demo.sh", "python3 docker/demo.py")}}}
    WHOLE = "```sh\none\n```\n\n    two \\\n        more\n\n    three\n\ntext\n\n    gdb -p\n\n```sh\ndemo\n```\n```text\nx\n```\n"

    def _gaps(self, text):
        with unittest.mock.patch.multiple(documented_commands, **self.TABLES):
            return list(documented_commands.gaps({"a.md": text}))

    def test_blocks_are_fenced_or_indented_and_keep_their_lines(self):
        self.assertEqual(list(documented_commands.blocks(self.WHOLE)),
                         ["one\n", "two \\\n    more\n\nthree\n", "gdb -p\n", "demo\n"])
        self.assertEqual(list(documented_commands.blocks("- an item\n    that goes on\n")), [])

    def test_a_fence_of_any_shell_or_with_a_prompt_is_a_block(self):
        for language in ("sh", "bash", "shell", "console"):
            self.assertEqual(list(documented_commands.blocks(f"```{language}\nls\n```\n")), ["ls\n"])
        for text in ("```text\n$ ls\n```\n", "- x\n\n  ```\n  $ ls\n  ```\n"):
            self.assertEqual([block.split() for block in documented_commands.blocks(text)], [["$", "ls"]])
        self.assertEqual(list(documented_commands.blocks("```text\nan answer\n```\n")), [])

    def test_blocks_with_a_row_each_are_no_finding(self):
        self.assertEqual(self._gaps(self.WHOLE), [])

    def test_a_block_without_a_row_and_a_row_without_a_block_are_named(self):
        self.assertEqual(self._gaps(self.WHOLE + "\n    rm -r /\n"),
                         ["a.md: no test runs the block 'rm -r /', and no reason is given"])
        self.assertEqual(self._gaps(self.WHOLE.replace("gdb -p", "two")), [
            "a.md: no test runs the block 'two', and no reason is given", "a.md: no block begins with 'gdb', in this order"])

    def test_a_file_that_does_not_run_the_block_is_named(self):
        elsewhere = {"a.md": {"demo": ("docker/demo.sh", "none of this")}}
        with unittest.mock.patch.dict(self.TABLES, ELSEWHERE=elsewhere):
            self.assertEqual(self._gaps(self.WHOLE), ["a.md: 'demo' is not run by docker/demo.sh: it has no 'none of this'"])

    def test_a_path_that_is_not_there_is_named(self):
        text = {"a.md": "```sh\ntest/run.sh x tools/none.txt >/tmp/test/y\nbazel test //cli:all //none/...\n```\n"}
        self.assertEqual(list(documented_commands.missing_paths(text, {"test/run.sh", "cli"}.__contains__)),
                         ["a.md: tools/none.txt: no such file", "a.md: //none: no such folder"])


class DocumentNames(unittest.TestCase):
    @staticmethod
    def _findings(text):
        functions = {"conn_end": {"sidecar/conn/conn_end.c"}, "tighten": {"sidecar/a.c", "sidecar/b.c"}}
        check = document_names.Check(functions, {"conn"})
        check.document("x.md", text)
        return check.findings

    def test_what_is_there_is_no_finding(self):
        text = "`test/lint/document_names.py`, `test/lint/`, `conn_end()`, `struct conn`, `/why`, `GET /x`, `len()`, `a/b`"
        self.assertEqual(self._findings(text), [])

    def test_what_is_not_there_is_named_with_its_line(self):
        self.assertEqual(self._findings("one\n\n`test/lint/none.py`, `none()`,\n`struct none`"), [
            "x.md:3: `test/lint/none.py`: no such file or folder", "x.md:3: `none()`: no function of this name is defined",
            "x.md:3: `struct none`: no such struct"])

    def test_an_item_that_begins_with_a_file_names_functions_of_that_file(self):
        self.assertEqual(self._findings("1. `test/lint/tidy.py`, `conn_end()`: ends it.\n2. Then `tighten()`."),
                         ["x.md:1: `conn_end()`: not defined in test/lint/tidy.py, but in sidecar/conn/conn_end.c"])

    def test_of_fenced_blocks_only_functions_in_drawings_are_read(self):
        self.assertEqual(self._findings("```python\nnone()\n```\n```\nconn_end() --> `a/b`\n```\n`conn_end()`"), [])
        self.assertEqual(self._findings("\n```\na -> conn_end()\nnone()\n```\n"),
                         ["x.md:4: `none()`: no function of this name is defined"])


class Navigation(unittest.TestCase):
    def test_a_page_that_is_not_in_it_is_named(self):
        texts = {"docs/a.md": "# A", "docs/b.md": "# B", "docs/decisions/001-c.md": "# C", "tools/site/mkdocs.yml": "nav:\n  - A: docs/a.md\n"}
        self.assertEqual(["tools/site/mkdocs.yml: nothing about docs/b.md"],
                         found(documents.pages_are_in_the_navigation, texts, names=tuple(texts)))


class Symptoms(unittest.TestCase):
    TABLES = {"sidecar/conn/close_reason.def": 'CLOSE_REASON(A, "done", 503, false)\nCLOSE_REASON(B, "denied", 401, true)\n',
              "sidecar/sidecar_pages.c": '\t\tadd(out, METRIC_CONDITION_NO_POLICY, "no policy yet", PAGE_FAILED,\n'}

    def test_failures_and_conditions_with_a_row_are_no_finding(self):
        self.assertEqual([], found(documents.symptoms_are_explained, {
            **self.TABLES, "docs/troubleshoot.md": "| a reset | `denied` |\n| `no policy yet` |"}))

    def test_those_without_one_are_named(self):
        self.assertEqual(["docs/troubleshoot.md: nothing about `denied`", "docs/troubleshoot.md: nothing about `no policy yet`"],
                         found(documents.symptoms_are_explained, {**self.TABLES, "docs/troubleshoot.md": "`done`"}))


class Site(unittest.TestCase):
    def findings(self, first):
        """Of a site of two pages, whose first has these tags."""
        with tempfile.TemporaryDirectory() as folder:
            site = pathlib.Path(folder).resolve()
            (site / "docs").mkdir()
            (site / "docs" / "a.html").write_text(first)
            (site / "index.html").write_text('<h1 id="top">first</h1>')
            return site_check.check(site)[1]

    def test_links_to_what_is_there_and_to_other_hosts_are_no_finding(self):
        self.assertEqual([], self.findings(
            '<p id=x><a href="../index.html#top">a</a><a href="#x">b</a><a href="https://example.org/">c</a><img src="data:,">'))

    def test_a_link_that_leads_nowhere_is_named(self):
        self.assertEqual(["docs/a.html:1: b.html: no such file in the site", "docs/a.html:2: ../index.html#down: no such anchor",
                          "docs/a.html:2: ../../elsewhere: no such file in the site"],
                         self.findings('<a href="b.html">\n<a href="../index.html#down"><a href="../../elsewhere">'))

    def test_what_is_loaded_from_another_host_is_named(self):
        self.assertEqual(["docs/a.html:1: https://example.org/x.js: is loaded from elsewhere",
                          "docs/a.html:1: //example.org/x.css: is loaded from elsewhere"],
                         self.findings('<script src="https://example.org/x.js"></script><link href="//example.org/x.css">'))

    def test_lists_are_indented_by_four_for_mkdocs(self):
        self.assertEqual("text\n\n1. one\n\n    ```sh\n    a\n    ```\n\n    - inner\n\nend\n",
                         build.for_mkdocs("text\n1. one\n\n   ```sh\n   a\n   ```\n\n   - inner\n\nend\n"))


class FolderReadmes(unittest.TestCase):
    def _uses(self, text, may_use=("base/core", "base/net:fd")):
        return list(folder_readmes.uses_are_those_of_the_table({"a": may_use}, {"a": text}))

    def test_a_sentence_with_the_targets_of_the_table_passes_in_any_order(self):
        self.assertEqual(self._uses("# a\n\nMay use: `base/net:fd`,\n`base/core`. May not use: `b`.\n"), [])

    def test_a_target_too_many_and_one_too_few_are_named(self):
        self.assertEqual(self._uses("May use: `base/core`, `base/net`."),
                         ["a/README.md: lacks `base/net:fd`, which MAY_USE has", "a/README.md: has `base/net`, which MAY_USE lacks"])

    def test_another_form_or_none_is_a_finding(self):
        for text in ("", "May use `base/core`, `base/net:fd`.", "May use: base/core, `base/net:fd`.", "May use: `base/core`, `base/net:fd`",
                     "May use: `base/core`, `base/net:fd` alone."):
            self.assertEqual(self._uses(text), ["a/README.md: 0 sentences of the form 'May use: `a`, `b`.'; one is needed"], text)
        self.assertEqual(list(folder_readmes.uses_are_those_of_the_table({"a": ()}, {})),
                         ["a/README.md: 0 sentences of the form 'May use: `a`, `b`.'; one is needed"])


    def _files(self, text, *names):
        return list(folder_readmes.files_are_named(names, {"a": text}))

    def test_a_file_is_named_by_stem_by_name_in_a_row_of_words_or_by_a_pattern(self):
        for text in ("`run`", "`run.c`", "`run.h`: it", "`leg run pool`", "`ru*.c`", "`r*`"):
            self.assertEqual(self._files(text, "a/run.c"), [], text)
        self.assertEqual(self._files("`run.c`, `row.def`", "a/run.c", "a/run.h", "a/run_private.h", "a/row.def"), [])

    def test_a_file_that_no_word_in_backquotes_names_is_a_finding(self):
        for text in ("", "run.c", "`*`", "`*.c`", "`runs`", "`b/run.c`", "`r*.h`"):
            self.assertEqual(self._files(text, "a/run.c"), ["a/README.md: does not name run.c"], text)
        self.assertEqual(self._files("`run.c`", "a/row.def"), ["a/README.md: does not name row.def"])

    def test_tests_and_folders_without_a_readme_pass(self):
        self.assertEqual(self._files("", "a/run_test.c", "a/test_run.c", "a/test_run.h", "b/run.c", "a/run.py"), [])


class PrintedTexts(unittest.TestCase):
    def _findings(self, line, name="cli/a.c"):
        return list(texts.findings({name: "first\n" + line}, {"status", "token"}))

    def test_a_command_without_backquotes_is_found(self):
        for line in ('"see handfast status"', "\"see 'handfast token list'\"", '"make one: handfast "\n"token create"', '"see `a` and handfast status"',
                     '"run kubectl get pods"', '"for 127.0.0.1: ip link set lo up"', 'X("of handfast-control status")'):
            self.assertEqual(len(self._findings(line)), 1, line)
        self.assertEqual(len(self._findings('X("see handfast status")', "cli/a.def")), 1)

    def test_what_is_no_command_passes(self):
        for line in ('"see `handfast status`"', '"run `kubectl -n " SPACE " get pods`"', '"handfast answers"',
                     '/* handfast status */', '"handfast-control signer"', '"the host\'s ip"'):
            self.assertEqual(self._findings(line), [], line)
        self.assertEqual(self._findings('"see handfast status"', "cli/a_test.c"), [])

    def test_a_text_that_is_cut_is_found(self):
        fits, longer, macro = "x" * 191, "x" * 192, '#define MORE "%s"\n' % ("y" * 100)
        self.assertEqual(self._findings('why_set(why, ERR, "a", "%s", "b");' % fits), [])
        self.assertEqual(len(self._findings('why_set(why, ERR, "a", "%s", "b");' % longer)), 1)
        self.assertEqual(len(self._findings('why_set(why, ERR, "a", is ? "c" : "%s", "b");' % longer)), 1)
        self.assertEqual(len(self._findings(macro + 'why_set(why, ERR, MORE "%s", "c", "b");' % ("x" * 60))), 1)
        self.assertEqual(self._findings('why_set(why, ERR, f(a, b), fix, "%s");' % longer), [])


class Sleeps(unittest.TestCase):
    def _findings(self, name, text):
        return list(sleeps.tests_wait_for_conditions({name: text}))

    def test_a_sleep_without_a_duration_comment_is_found(self):
        for name, line in (("test/integration/001_a.py", "    time.sleep(0.3)"), ("test/x.py", "sleep(1)  # settle"),
                           ("sidecar/a_test.c", "\tusleep(500);"), ("sidecar/test_world.c", "\t(void)poll(NULL, 0, 5);"),
                           ("base/core/a_test.c", "\tnanosleep(&pause, NULL); /* a moment */"), ("test/run.sh", "  sleep 1"),
                           ("docker/demo.py", "    time.sleep(1)"), ("bench/a.py", "    time.sleep(1)"),
                           ("docker/check.sh", "\tsleep 0.1")):
            self.assertEqual(self._findings(name, "first\n" + line), [f"{name}:2: {line.strip()}"])

    def test_a_sleep_in_disguise_is_found(self):
        for name, line in (("test/a.py", "asyncio.sleep(3)"), ("test/a.py", "from time import sleep as pause"),
                           ("test/a.py", "threading.Event().wait(3)"), ("test/a.py", "select.select([], [], [], 3)"),
                           ("test/a.py", "pod.sh('sleep 3; true')"), ("test/a.py", 'run(["sleep", "3"])'),
                           ("base/core/a_test.c", "\tselect(0, NULL, NULL, NULL, &t);"), ("base/core/a_test.c", "\tthrd_sleep(&t);"),
                           ("test/a.sh", "else sleep 3"), ("test/a.sh", 'sleep "$n"'), ("test/a.sh", "( sleep 3 )")):
            self.assertEqual(len(self._findings(name, line)), 1, line)

    def test_a_sleep_with_a_duration_comment_passes(self):
        self.assertEqual(self._findings("test/a.py", "time.sleep(1)  # duration: the pace of the load"), [])
        self.assertEqual(self._findings("base/a_test.c", "usleep(9); /* duration: the work of a round */"), [])

    def test_other_waits_and_other_files_pass(self):
        for name, line in (("sidecar/commands.c", "(void)poll(NULL, 0, PAUSE_MS);"), ("test/a.py", "wait_until('x', ready)"),
                           ("base/a_test.c", "poll(&readable, 1, 5000);")):
            self.assertEqual(self._findings(name, line), [])


if __name__ == "__main__":
    sys.exit(main())
