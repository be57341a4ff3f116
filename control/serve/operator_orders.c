/* What operators ask for. The audit log has what was done after it is durable, and what failed as failed. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/serve/operator_messages.h"
#include "control/serve/operator_private.h"
#include "control/serve/operator_status.h"

#define RESPONSE_MAX (16u * 1024 * 1024)

/* Says why the store refused, to the log and in *why to the operator. */
static void audit_failure(const struct order *order, const char *what, enum err err, struct why *why)
{
	store_explain(order->serve->options.store, err, why);
	log_error("audit", "%s failed: %s: %s", what, order->id.text == NULL ? "" : order->id.text, why->got);
}

/* --- tokens --- */

static void on_token(void *arg, enum err err, struct span line, struct span id, int64_t not_after_s)
{
	struct order *order = arg;
	struct why why = {0};
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(4096);
	if (err == ERR_NONE) {
		log_notice("audit", "join token made for %s", order->id.text);
		err = token_answer_encode(line, id, not_after_s * 1000, &message);
		serve_count(order->serve, CONTROL_TOKENS);
	} else {
		audit_failure(order, "a join token", err, &why);
	}
	order_finish(order, err, &message, &why);
	order_unref(order);
}

static enum err create_token(struct order *order, struct span bytes, struct why *why)
{
	struct token_order wanted;
	struct span root = server_identity_root(order->serve->options.identity);
	uint8_t root_hash[DIGEST_LEN];
	RETURN_IF_ERR(token_order_parse(bytes, &wanted, why));
	RETURN_IF_ERR(spiffe_id_parse(span_of(wanted.id, wanted.id_len), &order->id, why));
	digest_sha256(root, root_hash);
	struct attest_token_order token = {
		span_of(wanted.id, wanted.id_len), wanted.ttl_s, wanted.networks, wanted.num_networks, root_hash};
	enum err err = attest_token_create(order->serve->options.attest, &token, on_token, order_ref(order), why);
	if (err != ERR_NONE)
		order_unref(order);
	return err;
}

static void add_token(void *arg, struct span id, const struct join_token *token)
{
	token_list_add(arg, id, token);
}

static enum err list_tokens(struct order *order)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	_cleanup_(token_list_freep) struct token_list *list = token_list_new();
	attest_token_each(order->serve->options.attest, add_token, list);
	RETURN_IF_ERR(token_list_encode(list, &message));
	order_finish(order, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static void on_revoked(void *arg, enum err err, _unused_ uint64_t version)
{
	struct order *order = arg;
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	struct why why = {0};
	if (err == ERR_NONE) {
		log_notice("audit", "join token of %s revoked%s", order->id.text,
			order->was_used ? "; it was used, and what it bought stays" : "");
		err = revoke_answer_encode(true, order->was_used, &order->id, &message);
	} else if (err == ERR_CONFLICT) {
		err = why_set(&why, ERR_CONFLICT, "a token that does not change meanwhile",
			"list again: handfast token list; a stolen identity needs handfast ban",
			"one that was used just now");
	} else {
		audit_failure(order, "the revocation of a join token", err, &why);
	}
	order_finish(order, err, &message, &why);
	order_unref(order);
}

static enum err revoke_token(struct order *order, struct span bytes, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	uint8_t id[JOIN_TOKEN_ID_LEN];
	struct attest_revoked revoked = {0};
	RETURN_IF_ERR(revoke_order_parse(bytes, id, why));
	enum err err = attest_token_revoke(
		order->serve->options.attest, span_of(id, sizeof id), &revoked, on_revoked, order_ref(order));
	order->id = revoked.id;
	order->was_used = revoked.was_used;
	if (err == ERR_NONE)
		return ERR_NONE;
	order_unref(order);
	if (err != ERR_NOT_FOUND)
		return err;
	RETURN_IF_ERR(revoke_answer_encode(false, false, NULL, &message));
	order_finish(order, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

/* --- bans --- */

static void count_holder(void *arg, const struct holder *holder)
{
	struct order *order = arg;
	order->num_holders += spiffe_id_eq(&holder->id, &order->id);
}

static void on_banned(void *arg, enum err err, _unused_ uint64_t version)
{
	struct order *order = arg;
	struct why why = {0};
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	if (err == ERR_CONFLICT) /* banned already */
		err = ERR_NONE;
	if (err == ERR_NONE) {
		order->num_tokens = attest_tokens_drop(order->serve->options.attest, &order->id);
		log_notice(
			"audit", "banned: %s; %u unused tokens of it are revoked", order->id.text, order->num_tokens);
		err = ban_answer_encode(order->num_holders, order->num_tokens, &message);
	} else {
		audit_failure(order, "a ban", err, &why);
	}
	order_finish(order, err, &message, &why);
	order_unref(order);
}

static enum err ban(struct order *order, struct span bytes, struct why *why)
{
	struct store *store = order->serve->options.store;
	RETURN_IF_ERR(ban_order_parse(bytes, &order->id, why));
	holders_list(store, count_holder, order);
	holders_ban(store, &order->id, serve_now_ms(order->serve) / 1000, on_banned, order_ref(order));
	return ERR_NONE;
}

static void on_unbanned(void *arg, enum err err, _unused_ uint64_t version)
{
	struct order *order = arg;
	struct why why = {0};
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	/* Another command lifted it meanwhile. */
	bool is_lifted_already = err == ERR_CONFLICT && !holders_is_banned(order->serve->options.store, &order->id);
	if (err == ERR_NONE || is_lifted_already) {
		if (!is_lifted_already)
			log_notice("audit", "ban lifted: %s", order->id.text);
		err = unban_answer_encode(!is_lifted_already, &message);
	} else {
		audit_failure(order, "the end of a ban", err, &why);
	}
	order_finish(order, err, &message, &why);
	order_unref(order);
}

static enum err unban(struct order *order, struct span bytes, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	RETURN_IF_ERR(unban_order_parse(bytes, &order->id, why));
	if (holders_unban(order->serve->options.store, &order->id, on_unbanned, order_ref(order)) == ERR_NONE)
		return ERR_NONE;
	order_unref(order);
	RETURN_IF_ERR(unban_answer_encode(false, &message));
	order_finish(order, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static void add_ban(void *arg, struct span id, int64_t since_s)
{
	ban_list_add(arg, id, since_s * 1000);
}

static void count_in_list(void *arg, const struct holder *holder)
{
	ban_list_count(arg, spiffe_id_text(&holder->id));
}

static enum err list_bans(struct order *order)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	_cleanup_(ban_list_freep) struct ban_list *list = ban_list_new();
	holders_list_bans(order->serve->options.store, add_ban, list);
	holders_list(order->serve->options.store, count_in_list, list);
	RETURN_IF_ERR(ban_list_encode(list, &message));
	order_finish(order, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

/* --- others --- */

static void on_released(void *arg, enum err err, const struct why *why)
{
	struct order *order = arg;
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	if (err == ERR_NONE)
		err = release_answer_encode(true, &message);
	order_finish(order, err, &message, why);
	order_unref(order);
}

static enum err release(struct order *order, struct span bytes, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	struct ip_addr ip;
	RETURN_IF_ERR(release_order_parse(bytes, &ip, why));
	if (registry_release(order->serve->options.registry, NULL, &ip, on_released, order_ref(order)))
		return ERR_NONE;
	order_unref(order);
	RETURN_IF_ERR(release_answer_encode(false, &message));
	order_finish(order, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static enum err status(struct order *order)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	RETURN_IF_ERR(operator_status(order->serve, &message));
	order_finish(order, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

enum err order_run(struct order *order, struct span bytes, struct why *why)
{
	switch (order->command) {
	case OPERATOR_TOKEN_CREATE:
		return create_token(order, bytes, why);
	case OPERATOR_TOKEN_LIST:
		return list_tokens(order);
	case OPERATOR_TOKEN_REVOKE:
		return revoke_token(order, bytes, why);
	case OPERATOR_STATUS:
		return status(order);
	case OPERATOR_BAN:
		return ban(order, bytes, why);
	case OPERATOR_UNBAN:
		return unban(order, bytes, why);
	case OPERATOR_BAN_LIST:
		return list_bans(order);
	case OPERATOR_RELEASE:
		return release(order, bytes, why);
	}
	return ERR_UNSUPPORTED;
}
