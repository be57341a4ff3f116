#!/usr/bin/python3
"""tools/site/build.py FOLDER: builds the site of the documents into FOLDER, by Debian's mkdocs in strict mode.

mkdocs takes pages from one folder, and ours stand beside what they describe. So they are copied into a folder that is laid
out like the tree, whose relative links stay true; then mkdocs makes pages from it. Three things differ from what a forge
shows, and are written for mkdocs on the way: a link to a folder leads to its README, a list's content is indented by four,
and code in a table's row has its bars without a backslash."""

import pathlib
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
LINK = re.compile(r"(\]\(\s*|^\[[^\]]+\]:\s*)([^)\s#]+)", re.M)
DECISIONS = "docs/decisions/README.md"
ITEM = re.compile(r"( *)([-*]|\d+\.) +(?=\S)")


def tracked():
    names = subprocess.run(["git", "ls-files"], cwd=TREE, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in names if (TREE / name).is_file()}


def folders_of(names):
    return {posixpath.join(*parts[:count]) for parts in (name.split("/") for name in names) for count in range(1, len(parts))}


def title(text):
    return re.search(r"^# (.+)$", text, re.M)[1]


class Source:
    """The documents as mkdocs gets them, {path: text}, and the other files that they link to."""

    def __init__(self):
        self.names = tracked()
        self.folders = folders_of(self.names)
        self.pages, self.files = {}, set()
        for name in sorted(name for name in self.names if name.endswith(".md")):
            self.pages[name] = (TREE / name).read_text(encoding="utf-8")
        self.pages[DECISIONS] += self.list_of(posixpath.dirname(DECISIONS))
        self.pages = {name: for_mkdocs(self.with_targets(name, text)) for name, text in self.pages.items()}

    def list_of(self, folder):
        pages = sorted(name for name in self.pages if posixpath.dirname(name) == folder and not name.endswith("README.md"))
        rows = [f"- [{title(self.pages[name])}]({posixpath.basename(name)})" for name in pages]
        return "\n" + "\n".join(rows) + "\n"

    def with_targets(self, page, text):
        """Links to folders get the name of the page in there; files that are no pages are noted."""
        def target(match):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), match[2]))
            if re.match(r"[a-z]+:", match[2]):
                return match[0]
            if path in self.folders:
                return match[1] + posixpath.join(match[2], "README.md")
            if path in self.names and path not in self.pages:
                self.files.add(path)
            return match[0]
        return LINK.sub(target, text)

    def write(self, folder):
        for name in self.files | {name for name in self.names if re.fullmatch(r"docs/drawings/[\w-]+\.svg", name)}:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(TREE / name, folder / name)
        for name, text in self.pages.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


class Lists:
    """Indents what is in a list by four per level, as mkdocs needs it, and sets a list apart from the paragraph before it."""

    def __init__(self):
        self.levels, self.is_fenced, self.before = [], False, ""

    def line(self, line):
        if not line.strip():
            self.before = ""
            return [""]
        indent = len(line) - len(line.lstrip(" "))
        while self.levels and indent < self.levels[-1] and not self.is_fenced:
            self.levels.pop()
        depth, width = 4 * len(self.levels), self.levels[-1] if self.levels else 0
        out = [" " * (depth + max(0, indent - width)) + line.lstrip(" ")]
        if line.lstrip().startswith("```"):
            self.is_fenced = not self.is_fenced
        item = None if self.is_fenced else ITEM.match(line)
        if item:
            if self.before and not self.levels and not ITEM.match(self.before):
                out.insert(0, "")
            self.levels.append(len(item[0]))
        self.before = line
        return out


def for_mkdocs(text):
    lists = Lists()
    lines = [one for line in text.splitlines() for one in lists.line(line)]
    row = lambda line: re.sub(r"`[^`]*`", lambda code: code[0].replace(r"\|", "|"), line)
    return "\n".join(row(line) if line.startswith("|") else line for line in lines) + "\n"


def build(site):
    with tempfile.TemporaryDirectory(prefix="handfast-site-") as folder:
        source = pathlib.Path(folder) / "source"
        Source().write(source)
        shutil.copyfile(HERE / "mkdocs.yml", pathlib.Path(folder) / "mkdocs.yml")
        command = ["mkdocs", "build", "--quiet", "--strict", "--clean", "--config-file", "mkdocs.yml", "--site-dir", str(site)]
        code = subprocess.run(command, cwd=folder, check=False).returncode
    for name in ("404.html", "sitemap.xml", "sitemap.xml.gz"):  # of use to a web server at a known address alone
        (site / name).unlink(missing_ok=True)
    return code


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.split("\n", maxsplit=1)[0])
    sys.exit(build(pathlib.Path(sys.argv[1]).resolve()))
