/* How paths of SPIFFE IDs are matched: by whole segments. Pure. */
#pragma once

#include "base/core/span.h"

/* Whether `path` begins (or ends) with `part` as whole segments: "/a" is a prefix of "/a/b" and "/a", not of "/ab". */
static inline bool path_has_prefix(struct span path, struct span part)
{
	return span_starts_with(path, part) && (path.len == part.len || path.ptr[part.len] == '/');
}

static inline bool path_has_suffix(struct span path, struct span part)
{
	/* The part begins with a slash, so the match begins at a segment. */
	return path.len >= part.len && span_eq(span_from(path, path.len - part.len), part);
}

static inline bool path_in_namespace(struct span path, struct span name)
{
	static const struct span start = {(const uint8_t *)"/ns/", 4};
	if (!span_starts_with(path, start))
		return false;
	struct span rest = span_from(path, start.len);
	return span_starts_with(rest, name) && rest.len > name.len && rest.ptr[name.len] == '/';
}
