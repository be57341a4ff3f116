#include "sidecar/identity/certificate_request.h"

#include "base/net/fd.h"

#define X509_CONTEXT "handfast.v1.X509Data"
#define X509_FIX     "give identity.x509_certificate_file the chain of this machine, leaf first, without its root"

enum { PEM_MAX = 64 * 1024, X509_BYTES_MAX = 12 * 1024, X509_SIGNATURE_MAX = 1024 }; /* a request has 16 KiB */
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

static enum err read_machine(const struct attestation_files *files, struct web_identity **out, struct why *why)
{
	_cleanup_(buf_done) struct buf chain = BUF_INIT(PEM_MAX);
	_cleanup_(buf_wipe) struct buf key = BUF_INIT(PEM_MAX);
	RETURN_IF_ERR(fd_read_file(files->x509_certificate_file, PEM_MAX, &chain, why));
	RETURN_IF_ERR(fd_read_private_file(files->x509_key_file, PEM_MAX, &key, why));
	return web_identity_parse(buf_span(&chain), buf_span(&key), out, why);
}

static enum err gather_x509(
	const struct attestation_files *files, struct attestation_data *data, struct attestation *out, struct why *why)
{
	size_t num_bytes = 0;
	RETURN_IF_ERR(read_machine(files, &data->machine, why));
	*out = (struct attestation){.kind = ATTESTATION_X509, .x509.num_chain = web_identity_num_chain(data->machine)};
	CHECK(out->x509.num_chain <= X509_CHAIN_MAX);
	for (size_t i = 0; i < out->x509.num_chain; i++) {
		out->x509.chain[i] = web_identity_cert(data->machine, i);
		num_bytes += out->x509.chain[i].len;
	}
	if (num_bytes > X509_BYTES_MAX)
		return why_set(why, ERR_TOO_LARGE, "a chain of at most 12288 bytes", X509_FIX,
			"the chain has %zu bytes", num_bytes);
	return ERR_NONE;
}

enum err attestation_sign(
	const struct fresh_request *request, struct attestation_data *data, struct attestation *out, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(128);
	uint8_t key_hash[DIGEST_LEN];
	if (out->kind != ATTESTATION_X509)
		return ERR_NONE;
	digest_sha256(buf_span(&request->attestation_key), key_hash);
	RETURN_IF_ERR(buf_append_str(&message, X509_CONTEXT));
	RETURN_IF_ERR(buf_append(&message, span_of(request->exported, sizeof request->exported)));
	RETURN_IF_ERR(buf_append(&message, span_of(key_hash, sizeof key_hash)));
	data->signature = BUF_INIT(X509_SIGNATURE_MAX);
	enum err err = web_identity_sign(data->machine, buf_span(&message), &data->signature);
	if (err != ERR_NONE)
		return why_set(why, err, "a key that signs with SHA-256: RSA, P-256, P-384 or Ed25519",
			"let the CA certify a key of such a kind", "the machine's key does not sign");
	out->x509.signature = buf_span(&data->signature);
	return ERR_NONE;
}

enum err attestation_gather(const struct attestation_files *files, const struct enrolled_state *state, bool may_join,
	struct attestation_data *data, struct attestation *out, struct why *why)
{
	if (files->kubernetes_token_file != NULL)
		return gather_kubernetes(files->kubernetes_token_file, data, out, why);
	if (files->unix_peer) {
		*out = (struct attestation){.kind = ATTESTATION_UNIX_PEER};
		return ERR_NONE;
	}
	if (files->x509_certificate_file != NULL)
		return gather_x509(files, data, out, why);
	if (files->token_file != NULL && may_join) {
		enum err err = gather_token(files->token_file, state, data, out, why);
		/* After enrollment the key is enough: a missing or damaged token must not prevent a restart. */
		if (err == ERR_NONE || !state->has_consumed_token)
			return err;
	}
	*out = (struct attestation){.kind = ATTESTATION_KEY};
	return ERR_NONE;
}

void attestation_data_wipe(struct attestation_data *data)
{
	buf_wipe(&data->kubernetes);
	web_identity_unref(data->machine);
	data->machine = NULL;
	buf_done(&data->signature);
}

void attestation_data_done(struct attestation_data *data)
{
	token_done(&data->token);
	attestation_data_wipe(data);
	*data = (struct attestation_data){0};
}
