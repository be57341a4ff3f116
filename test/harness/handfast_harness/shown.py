"""The functions of a story, read from its text without running it: their order, their titles, and what each needs.

The functions of a story share what `arrange` made. One that also needs what an earlier one did declares it:

    @needs(shows_that_sigterm_drains)
    def shows_that_it_enrolls_again_by_its_own_key_without_the_token(story):

@needs_earlier stands for all functions above it.

An attribute of `story` that only an earlier function sets (`story.serial = ...`) is such a need by itself; it is found
through the functions and classes of the file that the reader names."""

import ast
import os

PREFIXES = ("shows_", "finding_")


class SelectionError(Exception):
    """A part of a name that selects no function, or several."""


def needs(*_functions):
    """Decorator: the functions above that must have run before this one."""
    return lambda function: function


def needs_earlier(function):
    """Decorator: every function above this one must have run before it."""
    return function


class Shown:
    """One function: `needs` holds the names of earlier ones, in the order of the file, without theirs in turn.
    `unset`: attributes of the story that it reads, and that neither arrange nor a function up to it sets."""

    def __init__(self, name, title, declared, unset):
        self.name, self.title, self.needs, self.unset = name, title, declared, unset


class _Access(ast.NodeVisitor):
    """What a function or class of the file does with attributes of `story`, in the order of its text: those that it
    sets, and those that it reads before it sets them; and the names that it uses."""

    def __init__(self, node, story):
        self.sets, self.reads, self.names = set(), set(), set()
        self._story = story
        for statement in node.body:  # without the decorators
            self.visit(statement)

    def visit_Attribute(self, node):
        if isinstance(node.value, ast.Name) and node.value.id == self._story:
            if isinstance(node.ctx, ast.Store):
                self.sets.add(node.attr)
            elif node.attr not in self.sets:
                self.reads.add(node.attr)
        self.generic_visit(node)

    def visit_Assign(self, node):
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node):
        if isinstance(node.target, ast.Attribute):
            self.visit(ast.Attribute(node.target.value, node.target.attr, ast.Load()))
        self.generic_visit(node)

    def visit_Name(self, node):
        self.names.add(node.id)


def _parameter(tree):
    """The name that the functions of the file give to the story."""
    return next((node.args.args[0].arg for node in tree.body if isinstance(node, ast.FunctionDef) and node.args.args
                 and node.name.startswith(PREFIXES)), "story")


def _accesses(tree):
    """{function: (sets, reads)} of what is at the top of the file, each with those of what it names."""
    own = {node.name: _Access(node, _parameter(tree)) for node in tree.body
           if isinstance(node, (ast.FunctionDef, ast.ClassDef))}

    def with_named(name, seen):
        sets, reads = set(own[name].sets), set(own[name].reads)
        for other in own[name].names & own.keys() - seen:
            its_sets, its_reads = with_named(other, seen | {other})
            reads |= its_reads - own[name].sets
            sets |= its_sets
        return sets, reads
    return {name: with_named(name, {name}) for name in own}


def _declared(node, earlier):
    for decorator in node.decorator_list:
        if getattr(decorator, "id", None) == "needs_earlier":
            return earlier
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == "needs":
            return [ast.unparse(argument) for argument in decorator.args]
    return []


def _title(node):
    first = (ast.get_docstring(node) or "").partition("\n")[0].strip()
    return first or node.name.replace("_", " ")


def _refuse_what_never_runs(path, tree):
    """A public function that nothing names would be taken for one that runs."""
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith(("_", "arrange", *PREFIXES)) and node.name not in named:
            raise SelectionError("%s: %s never runs; what a story shows has a name that begins with %s" %
                                 (os.path.basename(path), node.name, " or ".join(PREFIXES)))


def functions(path):
    """Every shows_* and finding_* of the file, in its order."""
    with open(path) as file:
        tree = ast.parse(file.read(), path)
    _refuse_what_never_runs(path, tree)
    access = _accesses(tree)
    arranged = access["arrange"][0] if "arrange" in access else set()
    found, setters = [], {}
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith(PREFIXES):
            continue
        earlier = [shown.name for shown in found]
        declared = _declared(node, earlier)
        unknown = [name for name in declared if name not in earlier]
        if unknown:
            raise SelectionError("%s: %s needs %s, which is no earlier function of the story" %
                                 (os.path.basename(path), node.name, unknown[0]))
        sets, reads = access[node.name]
        inferred = {setters[attribute] for attribute in reads - arranged if attribute in setters}
        found.append(Shown(node.name, _title(node), [name for name in earlier if name in inferred.union(declared)],
                           reads - arranged - sets - setters.keys()))
        setters.update({attribute: node.name for attribute in sets})
    return found


def choose(path, parts, with_earlier=False):
    """The names to run for the given names or parts of names, in the order of the file, with what they need."""
    all_shown = functions(path)
    by_name = {shown.name: shown for shown in all_shown}
    chosen = set()

    def add(name):
        if name not in chosen:
            chosen.add(name)
            for needed in by_name[name].needs:
                add(needed)
    for part in parts:
        matching = [part] if part in by_name else [name for name in by_name if part in name]
        if len(matching) != 1:
            raise SelectionError("%s: '%s' is part of the names of %d functions%s" % (
                os.path.basename(path)[:-3], part, len(matching), "".join("\n    " + name for name in matching)))
        add(matching[0])
        if with_earlier:
            for name in list(by_name)[:list(by_name).index(matching[0])]:
                add(name)
    return [name for name in by_name if name in chosen]
