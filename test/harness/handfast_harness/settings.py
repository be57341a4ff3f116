"""Settings files: nested dicts and lists written as YAML."""

import json


def to_yaml(value, indent=0):
    """Blocks for maps and lists of maps, JSON (which is YAML) for the rest."""
    pad, lines = "  " * indent, []
    for key, item in value.items():
        if item is None:
            continue
        if isinstance(item, dict):
            lines += ["%s%s:" % (pad, key), to_yaml(item, indent + 1)] if item else []
        elif isinstance(item, list) and item and all(isinstance(entry, dict) for entry in item):
            lines.append("%s%s:" % (pad, key))
            lines += ["%s  - %s" % (pad, to_yaml(entry, indent + 2).lstrip()) for entry in item]
        else:
            lines.append("%s%s: %s" % (pad, key, json.dumps(item)))
    return "\n".join(lines)


def merge(base, over):
    """base with the values of `over`, maps merged key by key; neither is changed."""
    merged = dict(base)
    for key, item in (over or {}).items():
        both = isinstance(item, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], item) if both else item
    return merged


def write(path, settings):
    with open(path, "w") as file:
        file.write(to_yaml(settings) + "\n")
    return path
