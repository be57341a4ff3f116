"""The tables as a drawing: one panel per figure, one bar per pair and congestion control, in SVG. No library is used."""

import html

from . import summary

WIDTH, LEFT, RIGHT, BAR, GAP, HEAD = 560, 190, 90, 11, 5, 34
COLUMNS = 2
COLORS = {"ours": "#1f6f8b", "peer": "#a9a9a9", "baseline": "#dcdcdc", "elsewhere": "#d9b48f"}


def _text(x, y, content, **style):
    attributes = "".join(' %s="%s"' % (key.replace("_", "-"), value) for key, value in style.items())
    return '<text x="%.1f" y="%.1f"%s>%s</text>' % (x, y, attributes, html.escape(content))


def _bar(y, width, color, title):
    return ('<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"><title>%s</title></rect>' %
            (LEFT, y, max(width, 1), BAR, color, html.escape(title)))


def _rows(figure, tables):
    """[(pair, congestion, value)], in the order of the tables' pairs."""
    names = list(dict.fromkeys(name for table in tables.values() for name in table))
    return [(name, congestion, tables[congestion][name][figure]) for name in names for congestion in tables
            if figure in tables[congestion].get(name, {})]


def _panel(figure, label, digits, tables, kind_of):
    """(elements, height)"""
    rows = [row for row in _rows(figure, tables) if row[2] > 0]
    longest = max(value for _, _, value in rows)
    parts, y, previous = [_text(0, 18, label, font_weight="bold")], HEAD, None
    for name, congestion, value in rows:
        y += GAP if previous not in (None, name) else 0
        if name != previous:
            parts.append(_text(LEFT - 8, y + BAR - 1, name, text_anchor="end"))
        width = (WIDTH - LEFT - RIGHT) * value / longest
        parts.append(_bar(y, width, COLORS[kind_of(name)], "%s, %s" % (name, congestion)))
        parts.append(_text(LEFT + width + 6, y + BAR - 1, "%.*f  %s" % (digits, value, congestion), fill="#555"))
        y, previous = y + BAR + 1, name
    return parts, y + GAP


def svg(tables, kind_of):
    """tables: {congestion: {pair: {figure: value}}}. kind_of(pair): a key of COLORS."""
    panels = [_panel(figure, label, digits, tables, kind_of) for figure, label, digits, _ in summary.ROWS
              if any(value > 0 for _, _, value in _rows(figure, tables))]
    heights, groups = [20] * COLUMNS, []
    for parts, height in panels:
        column = heights.index(min(heights))
        groups.append('<g transform="translate(%d,%.1f)">%s</g>' % (20 + column * (WIDTH + 20), heights[column],
                                                                    "\n".join(parts)))
        heights[column] += height + 16
    return ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" font-family="sans-serif" font-size="11">\n'
            '<rect width="100%%" height="100%%" fill="white"/>\n%s\n</svg>\n' %
            (COLUMNS * (WIDTH + 20) + 20, max(heights), "\n".join(groups)))
