#include "cli/policy_of.h"
#include "cli/call.h"
#include "cli/policy_file.h"
#include "policy/policy_message.h"
#include "proto/handfast/v1/operator.pb-c.h"

void policy_of_done(struct policy_of *of)
{
	policy_unref(of->policy);
}

static enum err from_control(
	const struct command_line *line, const struct spiffe_id *id, struct policy_of *out, struct why *why)
{
	Handfast__V1__PolicyShowRequest request = HANDFAST__V1__POLICY_SHOW_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	struct trust_domain domain;
	request.id = pb_bytes(spiffe_id_text(id));
	enum err err =
		call(line, "PolicyShow", &request.base, &handfast__v1__policy_show_response__descriptor, &answer);
	if (err != ERR_NONE) {
		*why = answer.detail;
		return err;
	}
	const Handfast__V1__PolicyShowResponse *shown = (const Handfast__V1__PolicyShowResponse *)answer.message;
	out->num_sidecars = shown->num_sidecars;
	out->num_in_force = shown->num_in_force;
	out->is_in_force = true;
	RETURN_IF_ERR(trust_domain_parse(pb_span(shown->trust_domain), &domain, why));
	return policy_message_parse(pb_span(shown->policy), &domain, &out->policy, why);
}

static enum err from_file(const struct command_line *line, const char *path, const struct spiffe_id *id,
	struct policy_of *out, struct why *why)
{
	_cleanup_(policy_file_closep) struct policy_file *file = NULL;
	struct trust_domain domain;
	RETURN_IF_ERR(trust_domain_parse(spiffe_id_trust_domain(id), &domain, why));
	RETURN_IF_ERR(policy_file_open(line, path, &domain, &file, why));
	return policy_file_policy(file, id, &out->policy, why);
}

enum err policy_of_workload(
	const struct command_line *line, const struct spiffe_id *id, struct policy_of *out, struct why *why)
{
	const char *path = command_line_value(line, "file");
	return path == NULL ? from_control(line, id, out, why) : from_file(line, path, id, out, why);
}
