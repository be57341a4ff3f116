#include "sidecar/identity/certificate_request.h"

#include "base/net/fd.h"

enum { PROJECTED_TOKEN_MAX = 8192 }; /* as the control plane takes; a real one has about 1,200 bytes */

static struct span trim_line_end(struct span text)
{
	while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
		text.len--;
	return text;
}

/* The kubelet makes it 0640 root:fsGroup, behind links that it swaps when it replaces the token: its mode is not
 * checked, and it is opened by its name each time. */
static enum err gather_kubernetes(
	const char *path, struct attestation_data *data, struct attestation *out, struct why *why)
{
	data->kubernetes = BUF_INIT(PROJECTED_TOKEN_MAX);
	RETURN_IF_ERR(fd_read_file(path, PROJECTED_TOKEN_MAX, &data->kubernetes, why));
	struct span token = trim_line_end(buf_span(&data->kubernetes));
	if (token.len == 0)
		return why_set(why, ERR_MALFORMED, "a projected service account token",
			"mount a serviceAccountToken volume there; the sidecar reads it again", "%s is empty", path);
	*out = (struct attestation){.kind = ATTESTATION_KUBERNETES, .kubernetes = token};
	return ERR_NONE;
}

/* ERR_NOT_FOUND: there is no token, or it is the consumed one. */
static enum err gather_token(const char *path, const struct enrolled_state *state, struct attestation_data *data,
	struct attestation *out, struct why *why)
{
	RETURN_IF_ERR(token_read(path, &data->token, why));
	digest_sha256(buf_span(&data->token.id), data->token_hash);
	if (state->has_consumed_token && memcmp(data->token_hash, state->consumed_token, DIGEST_LEN) == 0)
		return ERR_NOT_FOUND;
	data->has_token = true;
	*out = (struct attestation){.kind = ATTESTATION_JOIN_TOKEN, .token = &data->token};
	return ERR_NONE;
}

enum err attestation_gather(const struct attestation_files *files, const struct enrolled_state *state, bool may_join,
	struct attestation_data *data, struct attestation *out, struct why *why)
{
	if (files->kubernetes_token_file != NULL)
		return gather_kubernetes(files->kubernetes_token_file, data, out, why);
	if (files->token_file != NULL && may_join) {
		enum err err = gather_token(files->token_file, state, data, out, why);
		/* After enrollment the key is enough: a missing or damaged token must not prevent a restart. */
		if (err == ERR_NONE || !state->has_consumed_token)
			return err;
	}
	*out = (struct attestation){.kind = ATTESTATION_KEY};
	return ERR_NONE;
}

void attestation_data_done(struct attestation_data *data)
{
	token_done(&data->token);
	buf_wipe(&data->kubernetes);
	*data = (struct attestation_data){0};
}
