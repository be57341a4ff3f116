/* A Policy of handfast.dev/v1alpha1 as the control plane uses it: JSON to the struct of the settings file, so that both
 * have one meaning. Pure.
 *
 * The API server checks the same by the schema of the CustomResourceDefinition, unless an older one is installed: here
 * all is checked again. A member that this release does not know is an error, since a rule without a condition that
 * its author wrote would match more than it shall. */
#pragma once

#include "control/config/config.h"
#include <jansson.h>

#define POLICY_ACCOUNTS_MAX 64          /* service accounts of one policy */
#define POLICY_ITEMS_MAX    64          /* rules; ports of a policy or a rule; sources, networks of a rule */
#define POLICY_TEXT_MAX     (64 * 1024) /* bytes of all texts of one policy: with its copies it stays small */

struct policy_object {       /* zeroed is valid to policy_object_done() */
	char **accounts;     /* service accounts, sorted, each once; owned */
	size_t num_accounts; /* 0: all of the namespace */
	/* Modes and rules; identity is "spiffe://<trust domain>/ns/<namespace>/sa", below which all subjects are. The
	 * name of a rule is "<policy>/<rule>". */
	struct config_workload workload;
};

/* The namespace is the object's own: no policy has subjects in another one. ERR_MALFORMED, ERR_LIMIT, and
 * ERR_UNSUPPORTED for members that this release does not know. */
enum err policy_object_parse(const json_t *object, const struct trust_domain *trust_domain, struct policy_object *out,
	struct why *why) _must_use_;
void policy_object_done(struct policy_object *policy);
/* Whether the service account of the policy's namespace is one of its subjects. */
bool policy_object_has_account(const struct policy_object *policy, struct span account);
