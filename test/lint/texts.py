"""What programs print: a command stands in backquotes, and a text is not longer than its field of `struct why`.
house_rules.py runs the rules."""

import re

# Programs of a host that texts name with arguments; `ip` and `id` are words as well, and count with a known first argument.
TOOLS = r"(?:kubectl|systemctl|journalctl|etcdctl|openssl|modprobe|setpriv|ulimit|conntrack|nft|ps) [a-z-]|ip (?:link|addr|route|netns|rule) |id -u"
OURS = r"handfast(?:-control|-init|-sidecar|-cni)? (?:%s)(?![\w-])"
# No command to run: the name of a process in its log.
NAMES = {"handfast-control signer"}
PART = re.compile(r'"((?:\\.|[^"\\\n])*)"')
LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"(?:\s*"(?:\\.|[^"\\\n])*")*')
FIELDS = ((2, "expected", 160), (3, "fix", 192))  # arguments of why_set(), and struct why of base/core/err.h


def is_printed(name):
    return name.endswith((".c", ".h", ".def")) and not name.endswith("_test.c") and not name.startswith(("test/", "bench/")) and "/test_" not in name


def without_comments(text):
    return re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match.group(0)), text, flags=re.S)


def commands_are_in_backquotes(texts, first_words):
    """A reader sees where a command begins and ends, and can search for it; a quote of a shell would be part of it."""
    command = re.compile(r"(?<![\w/.-])(?:%s|%s)" % (OURS % "|".join(sorted(first_words)), TOOLS))
    for name, text in texts.items():
        if not is_printed(name):
            continue
        code = without_comments(text)
        for match in LITERAL.finditer(code):
            printed = "".join(PART.findall(match.group(0)))
            bare = [part for part in printed.split("`")[::2] if printed not in NAMES and command.search(part)]
            if bare:
                yield f"{name}:{code.count(chr(10), 0, match.start()) + 1}: {command.search(bare[0]).group(0)}...: no backquotes: {printed}"


def arguments_of(code, at):
    """Those of the call whose "(" is at `at`."""
    depth, begin, out, quoted = 0, at + 1, [], False
    for end in range(at, len(code)):
        char = code[end]
        if char == '"' and code[end - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(char, 0)
            if depth == 0 or (depth == 1 and char == ","):
                out.append(code[begin:end])
                begin = end + 1
            if depth == 0:
                break
    return out


def macros_of(texts):
    lines = (line for name, text in texts.items() if is_printed(name) for line in text.replace("\\\n", " ").split("\n"))
    return {match.group(1): match.group(2) for match in map(re.compile(r'#define\s+(\w+)\s+(.*".*)$').match, lines) if match}


def length_of(expression, macros, depth=0):
    """Of what literals and macros make together; None: a part is known only when the program runs."""
    length = 0
    for token in re.findall(r'"(?:\\.|[^"\\])*"|\w+|\S', without_comments(expression)):
        if token.startswith('"'):
            more = len(re.sub(r"\\(.)", r"\1", token[1:-1]))
        else:
            more = length_of(macros[token], macros, depth + 1) if token in macros and depth < 4 else None
        if more is None:
            return None
        length += more
    return length


def texts_fit_their_field(texts):
    """A longer text is cut, and a command at its end with it: the reader gets half of an instruction."""
    macros = macros_of(texts)
    for name, text in texts.items():
        code = without_comments(text) if is_printed(name) else ""
        for match in re.finditer(r"\bwhy_set\(", code):
            given = arguments_of(code, match.end() - 1)
            for at, field, size in FIELDS:
                for one in re.split(r"\s[?:]\s", given[at]) if at < len(given) else ():
                    if (length_of(one, macros) or 0) >= size:
                        line = code.count("\n", 0, match.start()) + 1
                        yield f"{name}:{line}: {field} has {length_of(one, macros)} bytes of at most {size - 1}: {one.strip()}"


def findings(texts, first_words):
    yield from commands_are_in_backquotes(texts, first_words)
    yield from texts_fit_their_field(texts)
