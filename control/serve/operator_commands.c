/* The operator's commands. The audit log has a command once it is durable, and a failed one as failed. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/serve/operator_messages.h"
#include "control/serve/operator_private.h"
#include "control/serve/operator_settings.h"
#include "control/serve/operator_status.h"

#define RESPONSE_MAX (16u * 1024 * 1024)

/* Reports an error of the store to the log and, in *why, to the operator. */
static void audit_failure(const struct operator_request *request, const char *what, enum err err, struct why *why)
{
	store_explain(request->serve->options.store, err, why);
	log_error("audit", "%s failed: %s: %s", what, request->id.text == NULL ? "" : request->id.text, why->got);
}

/* --- tokens --- */

static void on_token(void *arg, enum err err, struct span line, struct span id, int64_t not_after_s)
{
	struct operator_request *request = arg;
	struct why why = {0};
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(4096);
	if (err == ERR_NONE) {
		log_notice("audit", "join token made for %s", request->id.text);
		err = token_answer_encode(line, id, not_after_s * 1000, &message);
		serve_count(request->serve, CONTROL_TOKENS);
	} else {
		audit_failure(request, "making a join token", err, &why);
	}
	operator_request_finish(request, err, &message, &why);
	operator_request_unref(request);
}

static enum err create_token(struct operator_request *request, struct span bytes, struct why *why)
{
	struct token_request wanted;
	struct span root = server_identity_root(request->serve->options.identity);
	uint8_t root_hash[DIGEST_LEN];
	RETURN_IF_ERR(token_request_parse(bytes, &wanted, why));
	RETURN_IF_ERR(spiffe_id_parse(span_of(wanted.id, wanted.id_len), &request->id, why));
	digest_sha256(root, root_hash);
	struct attest_token_request token = {
		span_of(wanted.id, wanted.id_len), wanted.ttl_s, wanted.networks, wanted.num_networks, root_hash};
	enum err err = attest_token_create(
		request->serve->options.attest, &token, on_token, operator_request_ref(request), why);
	if (err != ERR_NONE)
		operator_request_unref(request);
	return err;
}

static void add_token(void *arg, struct span id, const struct join_token *token)
{
	token_list_add(arg, id, token);
}

static enum err list_tokens(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	_cleanup_(token_list_freep) struct token_list *list = token_list_new();
	attest_token_each(request->serve->options.attest, add_token, list);
	RETURN_IF_ERR(token_list_encode(list, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static void on_revoked(void *arg, enum err err, _unused_ uint64_t version)
{
	struct operator_request *request = arg;
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	struct why why = {0};
	if (err == ERR_NONE) {
		log_notice("audit", "join token of %s revoked%s", request->id.text,
			request->was_used ? "; it was used, and the attestation key that it enrolled stays valid" : "");
		err = revoke_answer_encode(true, request->was_used, &request->id, &message);
	} else if (err == ERR_CONFLICT) {
		err = why_set(&why, ERR_CONFLICT, "a token that does not change meanwhile",
			"list the tokens again: `handfast token list`; a stolen identity needs `handfast ban`",
			"the token was used just now");
	} else {
		audit_failure(request, "revoking a join token", err, &why);
	}
	operator_request_finish(request, err, &message, &why);
	operator_request_unref(request);
}

static enum err revoke_token(struct operator_request *request, struct span bytes, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	uint8_t id[JOIN_TOKEN_ID_LEN];
	struct attest_revoked revoked = {0};
	RETURN_IF_ERR(revoke_request_parse(bytes, id, why));
	enum err err = attest_token_revoke(request->serve->options.attest, span_of(id, sizeof id), &revoked, on_revoked,
		operator_request_ref(request));
	request->id = revoked.id;
	request->was_used = revoked.was_used;
	if (err == ERR_NONE)
		return ERR_NONE;
	operator_request_unref(request);
	if (err != ERR_NOT_FOUND)
		return err;
	RETURN_IF_ERR(revoke_answer_encode(false, false, NULL, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

/* --- bans --- */

static void count_svid_holder(void *arg, const struct svid_holder *svid_holder)
{
	struct operator_request *request = arg;
	request->num_svid_holders += spiffe_id_eq(&svid_holder->id, &request->id);
}

static void answer_ban(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	enum err err = ban_answer_encode(request->num_svid_holders, request->num_tokens,
		request->is_unknown && request->num_tokens == 0, &request->reach, &message);
	operator_request_finish(request, err, &message, NULL);
	operator_request_unref(request);
}

/* A command that has failed. */
static void refuse(struct operator_request *request, const char *what, enum err err)
{
	struct why why = {0};
	audit_failure(request, what, err, &why);
	operator_request_finish(request, err, NULL, &why);
	operator_request_unref(request);
}

static void on_banned(void *arg, enum err err, _unused_ uint64_t version)
{
	struct operator_request *request = arg;
	if (err != ERR_NONE && err != ERR_CONFLICT /* already banned */) {
		refuse(request, "banning", err);
		return;
	}
	request->num_tokens = attest_tokens_drop(request->serve->options.attest, &request->id);
	log_notice("audit", "banned: %s; %u unused tokens of it are revoked", request->id.text, request->num_tokens);
	operator_reach(request, answer_ban);
}

struct naming {
	const struct spiffe_id *id;
	bool is_found;
};

static void on_entry(void *arg, const struct workload_entry *entry, _unused_ bool is_stored)
{
	struct naming *naming = arg;
	naming->is_found |= spiffe_id_eq(&entry->id, naming->id);
}

static void on_claim(void *arg, const struct registry_claim_view *claim)
{
	struct naming *naming = arg;
	naming->is_found |= spiffe_id_eq(claim->id, naming->id);
}

/* By what is stored, and by what is connected. Its unused tokens are counted later. */
static bool is_known(const struct operator_request *request)
{
	const struct serve *serve = request->serve;
	if (!attest_records_all(serve->options.attest))
		return true; /* it may be */
	struct naming naming = {.id = &request->id};
	LIST_EACH(&serve->sidecars, const struct sidecar, sidecar, link)
		naming.is_found |= spiffe_id_eq(&sidecar->id, naming.id);
	attest_entry_each(serve->options.attest, on_entry, &naming);
	registry_each_claim(serve->options.registry, on_claim, &naming);
	return naming.is_found || request->num_svid_holders > 0;
}

static enum err ban(struct operator_request *request, struct span bytes, struct why *why)
{
	struct store *store = request->serve->options.store;
	RETURN_IF_ERR(ban_request_parse(bytes, &request->id, why));
	if (!svid_holders_is_banned(store, &request->id))
		RETURN_IF_ERR(trust_may_withdraw(request->serve->options.trust, spiffe_id_text(&request->id).len, why));
	svid_holders_list(store, count_svid_holder, request);
	request->is_unknown = !is_known(request);
	svid_holders_ban(
		store, &request->id, serve_now_ms(request->serve) / 1000, on_banned, operator_request_ref(request));
	return ERR_NONE;
}

static void answer_unban(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	enum err err = unban_answer_encode(request->was_banned, &request->reach, &message);
	operator_request_finish(request, err, &message, NULL);
	operator_request_unref(request);
}

static void on_unbanned(void *arg, enum err err, _unused_ uint64_t version)
{
	struct operator_request *request = arg;
	/* Another command lifted it meanwhile. */
	bool is_lifted_already =
		err == ERR_CONFLICT && !svid_holders_is_banned(request->serve->options.store, &request->id);
	if (err != ERR_NONE && !is_lifted_already) {
		refuse(request, "lifting a ban", err);
		return;
	}
	request->was_banned = !is_lifted_already;
	if (request->was_banned)
		log_notice("audit", "ban lifted: %s", request->id.text);
	operator_reach(request, answer_unban);
}

static enum err unban(struct operator_request *request, struct span bytes, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	RETURN_IF_ERR(unban_request_parse(bytes, &request->id, why));
	if (svid_holders_unban(request->serve->options.store, &request->id, on_unbanned,
		    operator_request_ref(request)) == ERR_NONE)
		return ERR_NONE;
	operator_request_unref(request);
	RETURN_IF_ERR(unban_answer_encode(false, &request->reach, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static void add_ban(void *arg, struct span id, int64_t since_s)
{
	ban_list_add(arg, id, since_s * 1000);
}

static void count_in_list(void *arg, const struct svid_holder *svid_holder)
{
	ban_list_count(arg, spiffe_id_text(&svid_holder->id));
}

static enum err list_bans(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	_cleanup_(ban_list_freep) struct ban_list *list = ban_list_new();
	svid_holders_list_bans(request->serve->options.store, add_ban, list);
	svid_holders_list(request->serve->options.store, count_in_list, list);
	RETURN_IF_ERR(ban_list_encode(list, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

/* --- other commands --- */

static enum err list_settings(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	RETURN_IF_ERR(operator_settings_encode(
		*request->serve->options.settings, request->serve->options.max_connections, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static void on_released(void *arg, enum err err, const struct why *why)
{
	struct operator_request *request = arg;
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	if (err == ERR_NONE)
		err = release_answer_encode(true, request->was_connected, &message);
	operator_request_finish(request, err, &message, why);
	operator_request_unref(request);
}

static enum err release(struct operator_request *request, struct span bytes, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	struct ip_addr ip;
	RETURN_IF_ERR(release_request_parse(bytes, &ip, why));
	request->was_connected = registry_is_connected(request->serve->options.registry, &ip);
	if (registry_release(request->serve->options.registry, NULL, &ip, on_released, operator_request_ref(request)))
		return ERR_NONE;
	operator_request_unref(request);
	RETURN_IF_ERR(release_answer_encode(false, false, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static enum err status(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	RETURN_IF_ERR(operator_status(request->serve, &message));
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

enum err operator_request_run(struct operator_request *request, struct span bytes, struct why *why)
{
	switch (request->command) {
	case OPERATOR_TOKEN_CREATE:
		return create_token(request, bytes, why);
	case OPERATOR_TOKEN_LIST:
		return list_tokens(request);
	case OPERATOR_TOKEN_REVOKE:
		return revoke_token(request, bytes, why);
	case OPERATOR_STATUS:
		return status(request);
	case OPERATOR_BAN:
		return ban(request, bytes, why);
	case OPERATOR_UNBAN:
		return unban(request, bytes, why);
	case OPERATOR_BAN_LIST:
		return list_bans(request);
	case OPERATOR_ENTRY_CREATE:
		return operator_entry_create(request, bytes, why);
	case OPERATOR_ENTRY_LIST:
		return operator_entry_list(request);
	case OPERATOR_ENTRY_DELETE:
		return operator_entry_delete(request, bytes, why);
	case OPERATOR_RELEASE:
		return release(request, bytes, why);
	case OPERATOR_REVOKE:
		return operator_revoke(request, bytes, why);
	case OPERATOR_CA_STATUS:
		return operator_ca_status(request);
	case OPERATOR_CA_ROTATE:
		return operator_ca_rotate(request, bytes, why);
	case OPERATOR_CA_ABORT:
		return operator_ca_abort(request, bytes, why);
	case OPERATOR_CA_RETIRE:
		return operator_bootstrap_retire(request, bytes, why);
	case OPERATOR_CA_CSR:
		return operator_ca_csr(request, why);
	case OPERATOR_CA_CRL:
		return operator_ca_crl(request);
	case OPERATOR_CA_IMPORT:
		return operator_ca_import(request, bytes, why);
	case OPERATOR_SETTINGS:
		return list_settings(request);
	case OPERATOR_POLICY_SHOW:
		return operator_policy_show(request, bytes, why);
	case OPERATOR_POLICY_LIST:
		return operator_policy_list(request);
	case OPERATOR_FEDERATION_LIST:
		return operator_federation_list(request);
	case OPERATOR_FEDERATION_CHANGE:
		return operator_federation_change(request, bytes, why);
	}
	return ERR_UNSUPPORTED;
}
