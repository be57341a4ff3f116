/* A policy that is not in force: the control plane's settings, or objects with policies of a cluster, from --file. */
#pragma once

#include "base/settings/command_line/command_line.h"
#include "control/distribute/policy_review.h"
#include "policy/policy.h"

struct policy_file;
/* trust_domain: of the policies of a cluster, whose objects name none. ERR_CONFIG, ERR_MALFORMED, ERR_UNSUPPORTED,
 * ERR_NOT_FOUND: a file without a policy. */
enum err policy_file_open(const struct command_line *line, const char *path, const struct trust_domain *trust_domain,
	struct policy_file **out, struct why *why) _must_use_;
void policy_file_close(struct policy_file *file);
DEFINE_CLEANUP(struct policy_file *, policy_file_close)
/* What the control plane would send to the workload, read as its sidecar reads it. */
enum err policy_file_policy(
	const struct policy_file *file, const struct spiffe_id *id, struct policy **out, struct why *why) _must_use_;
void policy_file_review(const struct policy_file *file, policy_warning_fn *each, void *arg);
