/* The members of a policy's JSON object: each function reads one kind and explains what is wrong with it. Pure. */
#pragma once

#include "base/core/err.h"
#include "certs/spiffe_id.h"
#include "control/config/config.h"
#include <jansson.h>

enum {
	POLICY_ACCOUNT_MAX = 253, /* a DNS subdomain */
	POLICY_LABEL_MAX = 63,    /* of a namespace's name */
};

#define POLICY_FIX "correct the policy and apply it again"

/* What is being read, for errors: "spec.rules[2].sources[0]". */
struct policy_reader {
	const char *policy; /* the object's name */
	const char *namespace_;
	const struct trust_domain *trust_domain;
	size_t num_bytes; /* of all texts */
	struct why *detail;
};

/* ERR_MALFORMED: `where` and what it has; expected: a noun phrase. */
enum err member_wrong(const struct policy_reader *reader, const char *where, const char *expected, const char *got, ...)
	_printf_(4, 5);
/* ERR_UNSUPPORTED: `map` has a member that is not among `known`, which NULL ends. */
enum err members_check(
	const struct policy_reader *reader, const char *where, const json_t *map, const char *const *known) _must_use_;
/* NULL: absent. Counts its bytes; ERR_LIMIT. */
enum err member_text(struct policy_reader *reader, const char *where, const json_t *map, const char *key,
	const char **out) _must_use_;
enum err member_flag(const struct policy_reader *reader, const char *where, const json_t *map, const char *key,
	bool *out) _must_use_;
/* The number of items; 0: absent. An empty list is wrong: it would match any. */
enum err member_list(const struct policy_reader *reader, const char *where, const json_t *map, const char *key,
	size_t *out_num) _must_use_;
enum err member_port(
	const struct policy_reader *reader, const char *where, const json_t *value, uint16_t *out) _must_use_;
enum err member_mode(struct policy_reader *reader, const char *where, const json_t *map, bool *out_is_given,
	enum port_mode *out) _must_use_;
/* As one segment of a SPIFFE ID, of the characters that Kubernetes has in names. */
bool member_is_name(const char *text, size_t max);
enum err member_name(struct policy_reader *reader, const char *where, const json_t *map, const char *key, size_t max,
	const char **out) _must_use_;
