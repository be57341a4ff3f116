#include "policy/cover.h"
#include "base/core/check.h"
#include "policy/paths.h"

static bool prefix_covers(struct span prefix, const struct source_match *narrow)
{
	struct span path = span_of_str(narrow->path);
	switch (narrow->kind) {
	case MATCH_ID:
	case MATCH_ID_PREFIX:
		return path_has_prefix(path, prefix);
	case MATCH_ID_SUFFIX:
	case MATCH_TRUST_DOMAIN:
		return prefix.len == 0;
	case MATCH_NAMESPACE: /* its identities are below /ns/NAME */
		return prefix.len == 0 || span_eq(prefix, SPAN_LITERAL("/ns")) ||
		       (span_starts_with(prefix, SPAN_LITERAL("/ns/")) && span_eq(span_from(prefix, 4), path));
	}
	CHECK_UNREACHABLE();
}

bool policy_source_covers(const struct source_match *wide, const struct source_match *narrow)
{
	struct span part = span_of_str(wide->path), path = span_of_str(narrow->path);
	bool is_path = narrow->kind == MATCH_ID || narrow->kind == MATCH_ID_PREFIX;
	if (!span_eq(span_of_str(wide->domain), span_of_str(narrow->domain)))
		return false;
	switch (wide->kind) {
	case MATCH_ID:
		return narrow->kind == MATCH_ID && span_eq(path, part);
	case MATCH_ID_PREFIX:
		return prefix_covers(part, narrow);
	case MATCH_ID_SUFFIX:
		return (narrow->kind == MATCH_ID || narrow->kind == MATCH_ID_SUFFIX) && path_has_suffix(path, part);
	case MATCH_TRUST_DOMAIN:
		return true;
	case MATCH_NAMESPACE:
		return (is_path && path_in_namespace(path, part)) ||
		       (narrow->kind == MATCH_NAMESPACE && span_eq(path, part));
	}
	CHECK_UNREACHABLE();
}

static bool sources_cover(const struct policy_rule *wide, const struct policy_rule *narrow)
{
	if (wide->num_sources == 0)
		return true;
	for (size_t i = 0; i < narrow->num_sources; i++) {
		bool is_covered = false;
		for (size_t j = 0; j < wide->num_sources && !is_covered; j++)
			is_covered = policy_source_covers(&wide->sources[j], &narrow->sources[i]);
		if (!is_covered)
			return false;
	}
	return narrow->num_sources > 0;
}

/* A source without identity matches every deny rule, and allow rules that are unauthenticated. */
static bool plaintext_covers(const struct policy_rule *wide, const struct policy_rule *narrow)
{
	bool is_matched = narrow->deny || narrow->unauthenticated;
	return !is_matched || wide->deny || wide->unauthenticated;
}

static bool network_covers(const struct network *wide, const struct network *narrow)
{
	return wide->prefix_len <= narrow->prefix_len && network_contains(wide, &narrow->base);
}

static bool networks_cover(const struct policy_rule *wide, const struct policy_rule *narrow)
{
	if (wide->num_networks == 0)
		return true;
	for (size_t i = 0; i < narrow->num_networks; i++) {
		bool is_covered = false;
		for (size_t j = 0; j < wide->num_networks && !is_covered; j++)
			is_covered = network_covers(&wide->networks[j], &narrow->networks[i]);
		if (!is_covered)
			return false;
	}
	return narrow->num_networks > 0;
}

static bool ports_cover(const struct policy_rule *wide, const struct policy_rule *narrow)
{
	if (wide->num_ports == 0)
		return true;
	for (size_t i = 0; i < narrow->num_ports; i++) {
		bool is_covered = false;
		for (size_t j = 0; j < wide->num_ports && !is_covered; j++)
			is_covered = wide->ports[j] == narrow->ports[i];
		if (!is_covered)
			return false;
	}
	return narrow->num_ports > 0;
}

bool policy_rule_covers(const struct policy_rule *wide, const struct policy_rule *narrow)
{
	return ports_cover(wide, narrow) && plaintext_covers(wide, narrow) && networks_cover(wide, narrow) &&
	       sources_cover(wide, narrow);
}
