/* A policy and an explanation as JSON: the sidecar's page /policy, and `handfast policy`. The keys of a source are
 * those of the settings file. */
#pragma once

#include "policy/explain.h"
#include <jansson.h>

/* New references. Texts from outside are escaped as ASCII. */
json_t *policy_json(const struct policy *policy);
json_t *policy_explanation_json(
	const struct policy_explanation *explanation, const struct policy_source *source, uint16_t port);
