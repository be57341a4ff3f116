#include "control/attest/attest.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/csr.h"
#include "control/attest/attest_private.h"
#include "control/attest/join_token.h"
#include "control/store/record.h"

struct attest *attest_new(struct loop *loop, struct store *store, const struct trust_domain *domain)
{
	struct attest *attest = mem_new(struct attest);
	*attest = (struct attest){.loop = loop, .store = store, .domain = *domain};
	return attest;
}

void attest_set_kubernetes(struct attest *attest, const struct attest_kubernetes *kubernetes)
{
	attest->kubernetes = kubernetes == NULL ? (struct attest_kubernetes){0} : *kubernetes;
}

bool attest_records_all(const struct attest *attest)
{
	return attest->kubernetes.review == NULL;
}

void attest_set_entries(struct attest *attest, const struct workload_entry *entries, size_t num)
{
	attest->entries = entries;
	attest->num_entries = num;
}

void attest_free(struct attest *attest)
{
	attest_x509_done(attest);
	attest_entries_done(attest);
	mem_free(attest);
}

int64_t attest_now_s(const struct attest *attest)
{
	const struct clock *clock = loop_clock(attest->loop);
	return clock->wall_ms(clock) / 1000;
}

static void answer(struct loop_task *task)
{
	struct check *check = container_of(task, struct check, later);
	struct attested attested = {&check->svid_holder, check->is_recorded, buf_span(&check->spki), check->ttl_s};
	check->on_done(check->arg, check->err, check->err == ERR_NONE ? &attested : NULL, &check->detail);
	svid_holder_done(&check->svid_holder);
	spiffe_id_done(&check->own);
	buf_wipe(&check->secret);
	buf_done(&check->spki);
	mem_free(check);
}

static void answer_later(struct check *check, enum err err)
{
	CHECK(!loop_task_is_posted(&check->later)); /* a request is answered once */
	check->err = err;
	loop_task_post(check->attest->loop, &check->later, answer);
}

/* The key must be proven on this very connection: a signature made for another connection is refused (W9). */
static enum err check_proof(struct check *check, const struct attest_request *request)
{
	struct why *why = &check->detail;
	if (request->attestation_key.len == 0 || request->attestation_key.len > ATTEST_KEY_MAX)
		return why_set(why, ERR_MALFORMED, "an attestation key", "update the sidecar",
			"the attestation key has %zu bytes", request->attestation_key.len);
	RETURN_IF_ERR(csr_parse(request->csr, &check->spki, why));
	RETURN_IF_ERR(public_key_verify(
		request->attestation_key, span_of(request->exported, ATTEST_EXPORTED_LEN), request->proof, why));
	if (span_eq(buf_span(&check->spki), request->attestation_key))
		return why_set(why, ERR_DENIED, "a key of its own for the certificate", "update the sidecar",
			"the certificate is requested for the attestation key itself");
	return ERR_NONE;
}

enum err attest_check_not_banned(struct check *check)
{
	if (!svid_holders_is_banned(check->attest->store, &check->svid_holder.id))
		return ERR_NONE;
	return why_set(&check->detail, ERR_REVOKED, ATTEST_BANNED_EXPECTED,
		"if it may come back, an operator lifts the ban: `handfast unban`", "%s is banned",
		check->svid_holder.id.text);
}

enum err attest_check_own(struct check *check, const struct spiffe_id *own, const char *what)
{
	if (own == NULL || spiffe_id_eq(own, &check->svid_holder.id))
		return ERR_NONE;
	return why_set(&check->detail, ERR_DENIED, "the stream's own identity",
		"find out which program uses this key or token: this looks like an attack", "the %s belongs to %s",
		what, check->svid_holder.id.text);
}

static enum err check_svid_holder(struct check *check, const struct spiffe_id *own)
{
	enum err err = svid_holders_find(check->attest->store, check->key_hash, &check->svid_holder);
	if (err == ERR_NOT_FOUND)
		return why_set(&check->detail, ERR_DENIED, "an attestation key that a join token has enrolled",
			"give the sidecar a new join token: `handfast token create`", "the attestation key is unknown");
	RETURN_IF_ERR(err);
	if (check->svid_holder.by != SVID_HOLDER_BY_TOKEN)
		return why_set(&check->detail, ERR_DENIED,
			"the proof with which the attestation key was registered, made again",
			"let the sidecar attest as before, or give it a join token: `handfast token create`",
			"the attestation key alone is no proof: %s", check->svid_holder.id.text);
	RETURN_IF_ERR(attest_check_own(check, own, "key"));
	return attest_check_not_banned(check);
}

static void on_svid_holder(void *arg, enum err err, uint64_t version)
{
	struct check *check = arg;
	svid_holder_done(&check->svid_holder);
	check->svid_holder = (struct svid_holder){0};
	(void)version;
	if (err == ERR_NONE ||
		err == ERR_CONFLICT) /* a conflict: the same key enrolled at the same time; the stored record counts */
		err = check_svid_holder(check, NULL);
	else
		store_explain(check->attest->store, err, &check->detail);
	answer_later(check, err);
}

static void make_svid_holder(struct check *check)
{
	memcpy(check->svid_holder.key_hash, check->key_hash, DIGEST_LEN);
	check->svid_holder.since_s = attest_now_s(check->attest);
	check->svid_holder.version = 0;
	enum err err = svid_holders_put(check->attest->store, &check->svid_holder, on_svid_holder, check);
	if (err != ERR_NONE)
		answer_later(check, err);
}

static void redeem(struct check *check);

/* A conflict: another key or the sidecar's own retry was committed first; the token is checked again as it is now
 * (W10). */
static void on_bound(void *arg, enum err err, uint64_t version)
{
	struct check *check = arg;
	(void)version;
	if (err == ERR_NONE || err == ERR_CONFLICT)
		redeem(check);
	else
		answer_later(check, store_explain(check->attest->store, err, &check->detail));
}

static enum err bind_token(struct check *check, struct join_token *token, uint64_t version)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(STORE_VALUE_MAX);
	char key[TOKEN_KEY_LEN];
	CHECK(!token->is_bound);
	token->is_bound = true;
	memcpy(token->key_hash, check->key_hash, DIGEST_LEN);
	RETURN_IF_ERR(join_token_encode(token, &record));
	attest_token_key(check->token_id, key);
	store_swap(check->attest->store, key, version, buf_span(&record), on_bound, check);
	return ERR_NONE;
}

/* A key that has an identity keeps it. */
static enum err check_known_key(struct check *check, const struct spiffe_id *bought)
{
	enum err err = svid_holders_find(check->attest->store, check->key_hash, &check->svid_holder);
	if (err == ERR_NOT_FOUND) {
		spiffe_id_copy(bought, &check->svid_holder.id);
		return attest_check_not_banned(check);
	}
	RETURN_IF_ERR(err);
	if (!spiffe_id_eq(&check->svid_holder.id, bought))
		return why_set(&check->detail, ERR_DENIED, "a fresh attestation key for another identity",
			"empty the sidecar's state folder", "the key belongs to %s", check->svid_holder.id.text);
	return attest_check_not_banned(check);
}

static enum err find_token(struct check *check, struct join_token *out, uint64_t *out_version)
{
	char key[TOKEN_KEY_LEN];
	struct store_value value;
	attest_token_key(check->token_id, key);
	if (store_get(check->attest->store, key, &value)) {
		*out_version = value.version;
		return join_token_parse(value.bytes, out);
	}
	/* An unknown token takes as long as a known one with a wrong secret, and gets the same answer. */
	return ERR_NONE;
}

/* out_waits: a write is under way, and its callback continues. */
static enum err redeem_now(struct check *check, bool *out_waits)
{
	_cleanup_(join_token_done) struct join_token token = {0};
	struct join_token_use use = {.secret = buf_span(&check->secret),
		.key_hash = check->key_hash,
		.source = check->source,
		.now_s = attest_now_s(check->attest)};
	uint64_t version = 0;
	bool binds = false;
	RETURN_IF_ERR(find_token(check, &token, &version));
	RETURN_IF_ERR(join_token_check(&token, &use, &binds, &check->detail));
	svid_holder_done(&check->svid_holder);
	check->svid_holder = (struct svid_holder){0};
	RETURN_IF_ERR(check_known_key(check, &token.id));
	check->svid_holder.by = SVID_HOLDER_BY_TOKEN;
	*out_waits = binds || check->svid_holder.version == 0;
	if (binds)
		return bind_token(check, &token, version);
	if (check->svid_holder.version == 0)
		make_svid_holder(check);
	return ERR_NONE;
}

static void redeem(struct check *check)
{
	bool waits = false;
	enum err err = redeem_now(check, &waits);
	if (err != ERR_NONE || !waits)
		answer_later(check, err);
}

static enum err refuse_attestation(struct check *check, const char *what)
{
	return why_set(&check->detail, ERR_UNSUPPORTED, "a join token, or the attestation key that it has enrolled",
		"give the sidecar a join token: `handfast token create`", "%s", what);
}

static enum err start_token(struct check *check, const struct attest_request *request)
{
	if (request->own != NULL)
		return refuse_attestation(check, "a renewal carries a join token");
	if (request->token_id.len != JOIN_TOKEN_ID_LEN)
		return why_set(&check->detail, ERR_MALFORMED, "a token id of 16 bytes", "copy the whole token line",
			"the token id has %zu bytes", request->token_id.len);
	memcpy(check->token_id, request->token_id.ptr, JOIN_TOKEN_ID_LEN);
	RETURN_IF_ERR(buf_append(&check->secret, request->secret));
	redeem(check);
	return ERR_NONE;
}

static enum err take_account(struct check *check, const struct attest_account *account)
{
	_cleanup_(mem_freep) char *text =
		mem_printf("spiffe://%s/ns/%s/sa/%s", check->attest->domain.name, account->namespace_, account->name);
	RETURN_IF_ERR(spiffe_id_parse(span_of_str(text), &check->svid_holder.id, &check->detail));
	memcpy(check->svid_holder.key_hash, check->key_hash, DIGEST_LEN);
	check->svid_holder.since_s = attest_now_s(check->attest);
	RETURN_IF_ERR(attest_check_own(check, spiffe_id_is_set(&check->own) ? &check->own : NULL, "token"));
	return attest_check_not_banned(check);
}

static void on_reviewed(void *arg, enum err err, const struct attest_account *account, const struct why *why)
{
	struct check *check = arg;
	CHECK((err == ERR_NONE) == (account != NULL));
	if (why != NULL)
		check->detail = *why;
	answer_later(check, err == ERR_NONE ? take_account(check, account) : err);
}

/* The attestation key ties the request to this connection and is otherwise not known: nothing of it is stored. */
static enum err start_kubernetes(struct check *check, const struct attest_request *request, bool *out_waits)
{
	const struct attest_kubernetes *kubernetes = &check->attest->kubernetes;
	if (kubernetes->review == NULL)
		return why_set(&check->detail, ERR_UNSUPPORTED,
			"a join token, or a control plane that takes Kubernetes tokens",
			"set kubernetes.enabled of the control plane, or give the sidecar a join token: `handfast "
			"token create`",
			"the request carries a Kubernetes token");
	if (request->own != NULL)
		spiffe_id_copy(request->own, &check->own);
	check->is_recorded = false;
	*out_waits = true;
	kubernetes->review(kubernetes->arg, request->kubernetes_token, &request->source, on_reviewed, check);
	return ERR_NONE;
}

/* ERR_NONE with *out_waits: the answer comes later. */
static enum err start(struct check *check, const struct attest_request *request, bool *out_waits)
{
	RETURN_IF_ERR(check_proof(check, request));
	digest_sha256(request->attestation_key, check->key_hash);
	switch (request->kind) {
	case ATTESTATION_JOIN_TOKEN:
		*out_waits = true;
		return start_token(check, request);
	case ATTESTATION_KEY:
		return check_svid_holder(check, request->own);
	case ATTESTATION_KUBERNETES:
		return start_kubernetes(check, request, out_waits);
	case ATTESTATION_X509:
		return attest_by_x509(check, request);
	case ATTESTATION_UNIX_PEER:
		return attest_by_unix(check, request);
	case ATTESTATION_NONE:
		return refuse_attestation(check, "none");
	}
	return ERR_UNSUPPORTED;
}

void attest_check(struct attest *attest, const struct attest_request *request, attest_done_fn *on_done, void *arg)
{
	CHECK(on_done != NULL);
	struct check *check = mem_new(struct check);
	*check = (struct check){.attest = attest,
		.source = request->source,
		.is_recorded = true,
		.secret = BUF_INIT(JOIN_TOKEN_SECRET_LEN),
		.spki = BUF_INIT(CSR_MAX),
		.on_done = on_done,
		.arg = arg};
	bool waits = false;
	enum err err = start(check, request, &waits);
	if (err != ERR_NONE || !waits)
		answer_later(check, err);
}
