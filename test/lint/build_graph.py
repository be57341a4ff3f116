"""Reads the BUILD files without Bazel: which target owns a file, and what it depends on. BUILD files are written in a subset of Python, so they are run here with rules that only record their arguments."""

import pathlib
import re


class Target:
    def __init__(self, package, rule, attributes):
        self.package, self.rule, self.name = package, rule, attributes["name"]
        self.label = f"//{package}:{self.name}"
        self.testonly = rule == "hf_test" or attributes.get("testonly", False)
        self.srcs = [self.file(name) for name in listed(attributes.get("srcs"))]
        self.hdrs = [self.file(name) for name in listed(attributes.get("hdrs")) + listed(attributes.get("textual_hdrs"))]
        self.deps = [self.absolute(name) for name in listed(attributes.get("deps"))]
        self.actual = self.absolute(attributes["actual"]) if rule == "alias" else None

    def file(self, name):
        return name.lstrip("/").replace(":", "/") if name.startswith("//") else f"{self.package}/{name.lstrip(':')}".lstrip("/")

    def absolute(self, label):
        if label.startswith(":"):
            return f"//{self.package}{label}"
        if label.startswith("//") and ":" not in label:
            return f"{label}:{label.rsplit('/', 1)[-1]}"
        return label


def listed(value):
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []


class Depset(list):
    def to_list(self):
        return list(dict.fromkeys(self))


class Notes(dict):
    """The names that a BUILD file may call: any rule records its arguments, the rest returns something empty."""

    def __init__(self, root, package, targets):
        super().__init__()
        folder = root / package
        self.update({
            "load": lambda *args, **kwargs: None, "package": lambda **kwargs: None, "exports_files": lambda *args, **kwargs: None,
            "depset": Depset, "licenses": lambda *args: None, "select": lambda choices: choices.get("//conditions:default", []),
            "glob": lambda patterns, **kwargs: [str(path.relative_to(folder)) for pattern in patterns for path in folder.glob(pattern)],
        })
        self.package, self.targets = package, targets

    def add(self, rule, **attributes):
        self.targets.append(Target(self.package, rule, attributes))

    def add_module(self, name, deps=(), test_deps=(), **attributes):
        """hf_module of tools/handfast.bzl: a library and its test."""
        self.add("hf_library", name=name, srcs=[f"{name}.c"], hdrs=[f"{name}.h"], deps=list(deps), **attributes)
        self.add("hf_test", name=f"{name}_test", srcs=[f"{name}_test.c"], deps=[f":{name}", *test_deps])

    def __missing__(self, rule):
        if rule in __builtins__:
            raise KeyError(rule)
        if rule == "hf_module":
            return self.add_module
        return lambda **attributes: self.add(rule, **attributes)


def read(root, build_files):
    targets = []
    for name in build_files:
        package = str(pathlib.PurePosixPath(name).parent)
        package = "" if package == "." else package
        exec((root / name).read_text(encoding="utf-8"), Notes(root, package, targets))
    return targets


def includes(text):
    return re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.M)
