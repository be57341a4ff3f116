/* Warnings about one policy of a cluster: rules that can never decide or add nothing beside those that apply wherever
 * it does. Pure. */
#pragma once

#include "control/distribute/policy_review.h"
#include "control/kube/policy_set.h"

#define POLICY_ADVICE_MAX 16 /* that are named */

/* Of the settings the trust domain and its partners count. Of a policy in force; of another one: none. */
void policy_advice_each(
	const struct policy_entry *entry, const struct control_config *settings, policy_warning_fn *each, void *arg);
/* Puts kind and detail of each into entry->warnings, unless they are there since the last change of its namespace's
 * policies. */
void policy_advice_refresh(struct policy_entry *entry, const struct control_config *settings);
