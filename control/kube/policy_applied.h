/* What the author of a policy applied, against what the API server kept of it. Pure.
 *
 * The API server drops members that the definition does not know. Whether it refuses them, warns or is silent is up to
 * the client (`fieldValidation`); kubectl by default has it refuse them. Where they were dropped nothing but
 * kubectl's annotation of the object as it was applied still has them. */
#pragma once

#include "certs/spiffe_id.h"
#include <jansson.h>

/* The annotation's text; NULL: there is none. Borrowed. */
const char *policy_applied_text(const json_t *object);
/* ERR_UNSUPPORTED: `text` has a member of a policy that this release does not know; *why has the place. Whatever else
 * is wrong with it is none of this: what was kept is judged by itself. */
enum err policy_applied_check(const char *text, const struct trust_domain *trust_domain, struct why *why) _must_use_;
