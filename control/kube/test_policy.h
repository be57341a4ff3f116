/* For tests: policies as the API server has them. */
#pragma once

#include <jansson.h>

struct test_policy {
	const char *namespace_, *name; /* NULL: shop, cart */
	const char *uid;               /* NULL: made of the name */
	unsigned day;                  /* of its creation, in a month; 0: the first */
	int generation;                /* 0: 1 */
	const char *spec, *status;     /* JSON with ' in place of "; status NULL: none */
	const char *applied;           /* JSON: what kubectl applied, as its annotation has it; NULL: none */
};
/* Owned by the caller. */
json_t *test_policy_new(const struct test_policy *policy);
json_t *test_json(const char *text); /* with ' in place of " */
