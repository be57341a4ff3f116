#!/usr/bin/env python3
"""The site of the documents builds in mkdocs' strict mode, works without a network, and has no link that leads nowhere.
Builds it into a temporary folder and reads each page as a browser does: what it links to in the site is there, with its
anchor; what it loads (scripts, styles, pictures, fonts) is in the site. Links to other hosts are not followed. Drawings
are drawn from their present texts. Prints one line per finding, then `N passed, N failed`, where N counts links."""

import html.parser
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

from tree import ROOT, report

sys.path.insert(0, str(ROOT / "tools" / "site"))
import draw  # noqa: E402 (the path must be set first)

LOADS = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("object", "data")}
NOT_LOADED = {"canonical", "prev", "next"}  # kinds of <link> that a browser does not fetch


class Page(html.parser.HTMLParser):
    """The anchors of a page, and what it links to: (line, address, whether a browser loads it)."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links = {""}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors.update(filter(None, (attributes.get("id"), attributes.get("name"))))
        for key in ("href", "src", "data"):
            if attributes.get(key) is not None and attributes.get("rel") not in NOT_LOADED:
                self.links.append((self.getpos()[0], attributes[key], (tag, key) in LOADS))


def fault(site, pages, name, address, is_loaded):
    """What is wrong with a link of the page, or None."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme or parts.netloc:
        return "is loaded from elsewhere" if is_loaded and parts.scheme != "data" else None
    path = (site / name).parent / urllib.parse.unquote(parts.path) if parts.path else site / name
    path = path.resolve()
    if not path.is_relative_to(site) or not path.is_file():
        return "no such file in the site"
    page = pages.get(str(path.relative_to(site)))
    if page is not None and urllib.parse.unquote(parts.fragment) not in page.anchors:
        return "no such anchor"
    return None


def faults_of_styles(site):
    """A style sheet loads nothing from elsewhere."""
    for style in site.rglob("*.css"):
        for address in re.findall(r"url\(\s*[\"']?(https?:)?//[^)]*\)", style.read_text(encoding="utf-8")):
            yield f"{style.relative_to(site)}: {address}: is loaded from elsewhere"


def faults_of_drawings():
    for name in draw.outdated():
        yield f"docs/drawings/{name}: has changed and is not drawn again; run tools/site/draw.py"


def check(site):
    """(number of links that hold, findings)"""
    pages = {str(path.relative_to(site)): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    findings, num_passed = [*faults_of_styles(site), *faults_of_drawings()], 0
    for name, page in sorted(pages.items()):
        for line, address, is_loaded in page.links:
            found = fault(site, pages, name, address, is_loaded)
            num_passed += found is None
            if found is not None:
                findings.append(f"{name}:{line}: {address}: {found}")
    return num_passed, findings


def checked():
    with tempfile.TemporaryDirectory(prefix="handfast-site-") as folder:
        site = pathlib.Path(folder).resolve() / "site"
        built = subprocess.run([sys.executable, ROOT / "tools/site/build.py", site], capture_output=True, text=True, check=False)
        if built.returncode != 0:
            return 0, (built.stdout + built.stderr).splitlines() or [f"tools/site/build.py ended with {built.returncode}"]
        return check(site)


if __name__ == "__main__":
    sys.exit(report(*checked()))
