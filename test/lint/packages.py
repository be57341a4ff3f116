#!/usr/bin/env python3
"""Finds what a fresh machine lacks: every system header that is included, every library that is linked and every program that a
script runs belongs to a package of the lists, to what those depend on, or to the smallest Debian. A package that was
installed by hand hides such a gap on every machine but the next. Prints one line per gap, then `N passed, N failed`,
where N counts headers, libraries and programs."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from tree import ROOT, report, tracked

BUILD = ("tools/apt-packages.txt",)
DEMO = BUILD + ("test/apt-packages.txt",)
TESTS = DEMO + ("test/lint/apt-packages.txt",)
# The package lists that a script may rely on, by its folder.
LISTS = {"docker": DEMO, "bench": TESTS + ("bench/apt-packages.txt",), "test/kube": TESTS + ("test/kube/apt-packages.txt",),
         "test/arm64": TESTS + ("docker/apt-packages-arm64.txt", "test/arm64/apt-packages.txt")}
# Not from Debian: a tool of another registry or one of Handfast's programs; or run only where it exists.
NOT_DEBIAN = {"docker", "dot", "go", "systemctl"}
BUILT_IN = {"kill", "printf", "test", "time", "wait"}  # shell builtins


def output(*argv):
    return subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


class Packages:
    """The installed packages: what each needs, and which one owns a file."""

    def __init__(self):
        self.needs, self.providers, self.essential = {}, {}, set()
        fields = "${Package}\t${Depends}, ${Pre-Depends}\t${Provides}\t${Essential}\t${Priority}\t${db:Status-Status}\n"
        for line in output("dpkg-query", "-W", "-f", fields).splitlines():
            name, needs, provides, essential, priority, status = line.split("\t")
            if status != "installed":
                continue
            self.needs[name] = [[self.bare(one) for one in group.split("|")] for group in needs.split(",") if group.strip()]
            for virtual in filter(None, map(self.bare, provides.split(","))):
                self.providers.setdefault(virtual, set()).add(name)
            if essential == "yes" or priority == "required":
                self.essential.add(name)

    @staticmethod
    def bare(word):
        return re.split(r"[\s(:]", word.strip() + " ")[0]

    def closure(self, lists):
        """The packages on a minimal Debian after apt has installed the lists, without recommendations."""
        wanted = set(self.essential) | {"apt"}
        for name in lists:
            wanted |= {line.split("#")[0].strip() for line in text_of(name).splitlines()} - {""}
        there = set()
        while wanted:
            name = wanted.pop()
            if name in there:
                continue
            there.add(name)
            for group in self.needs.get(name, []):
                real = [one for one in group if one in self.needs]
                wanted |= set(real[:1]) or self.providers.get(group[0], set())
        return there

    @staticmethod
    def owner(path):
        """The package of a file; "" when none owns it (it is generated, or was not installed by dpkg)."""
        for one in dict.fromkeys((str(path), os.path.realpath(path), re.sub(r"^/(bin|sbin|lib)", r"/usr/\1", str(path)),
                                  re.sub(r"^/usr/(bin|sbin|lib)", r"/\1", str(path)))):
            found = subprocess.run(["dpkg", "-S", one], capture_output=True, text=True)
            owners = [line for line in found.stdout.splitlines() if not line.startswith("diversion by")]  # as of sh, by dash
            if found.returncode == 0 and owners:
                return owners[0].split(":")[0].split(",")[0]
        return ""


def include_folders():
    text = subprocess.run(["gcc", "-xc", "-E", "-v", "/dev/null"], capture_output=True, text=True, check=True).stderr
    return re.findall(r"^ (/\S+)$", text[text.index("#include <...>"):], re.M)


def headers():
    """(header, path or None, the file that includes it)"""
    vendored = ("openssl/",)  # BoringSSL's, built by Bazel from a pinned crate
    seen = {}
    for name in tracked("*.c", "*.h"):
        for header in re.findall(r"^\s*#\s*include\s*<([^>]+)>", text_of(name), re.M):
            if not header.startswith(vendored):
                seen.setdefault(header, name)
    folders = include_folders()
    for header, name in sorted(seen.items()):
        paths = [pathlib.Path(folder) / header for folder in folders]
        yield f"<{header}>", next((path for path in paths if path.exists()), None), name


def libraries():
    """(library, path or None, the BUILD file that links it)"""
    seen = {}
    for name in tracked("BUILD", "*/BUILD", "*.bzl"):
        for word in re.findall(r'"-l(:?[\w.+-]+)"', text_of(name)):
            seen.setdefault(word, name)
    for word, name in sorted(seen.items()):
        for file in [word[1:]] if word.startswith(":") else [f"lib{word}.so", f"lib{word}.a"]:
            path = output("gcc", f"-print-file-name={file}").strip()
            if path.startswith("/"):
                break
        yield f"-l{word}", pathlib.Path(path) if path.startswith("/") else None, name


_COMMAND = re.compile(r"(?:^|[;&|(`]|\$\(|\b(?:if|then|else|do|exec|while|until|xargs -r|!)\s)\s*([a-z][a-z0-9_.+-]*)(?=[\s;)]|$)", re.M)


def words_of_shell(text):
    text = re.sub(r"<<-?'?(\w+)'?\n.*?\n\s*\1\n", "\n", text, flags=re.S)  # input of other programs
    text = re.sub(r"#[^\n]*|'[^']*'|\"(?:\\.|[^\"\\])*\"", lambda match: '""' if match[0][0] != "#" else "", text)
    return _COMMAND.findall(text)


def words_of_python(text):
    """The first word of each list that may be a command line."""
    return re.findall(r'\[\s*"([a-z][a-z0-9_.+-]*)"\s*,', text)


def programs():
    """(program, its path, the script that runs it); words that are not programs on this machine are ignored."""
    seen = {}
    for name in tracked("*.sh", "*.py", ".ci/run", "docker/Dockerfile.*"):
        is_python = name.endswith(".py")
        for word in words_of_python(text_of(name)) if is_python else words_of_shell(text_of(name)):
            lists = next((lists for folder, lists in LISTS.items() if name.startswith(folder + "/")), TESTS)
            seen.setdefault((word, lists), name)
    for (word, lists), name in sorted(seen.items()):
        path = shutil.which(word, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if path is not None and word not in NOT_DEBIAN | BUILT_IN:
            yield word, pathlib.Path(path), name, lists


def main():
    packages = Packages()
    closures = {lists: packages.closure(lists) for lists in {BUILD, TESTS, *LISTS.values()}}
    passed, gaps = 0, []
    things = [(*thing, BUILD) for thing in (*headers(), *libraries())] + list(programs())
    for what, path, user, lists in things:
        owner = packages.owner(path) if path is not None else None
        if owner is None:
            gaps.append(f"{user}: {what} is on no path of this machine; name its package in {lists[-1]}")
        elif owner and owner not in closures[lists]:
            gaps.append(f"{user}: {what} belongs to {owner}, which a fresh machine lacks; add it to {lists[-1]}")
        else:
            passed += 1
    return report(passed, gaps)


if __name__ == "__main__":
    sys.exit(main())
