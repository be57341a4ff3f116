#include "control/federate/endpoint_identity.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "certs/private_key.h"

enum { TTL_S = 3600, POLL_MS = 1000, RETRY_MS = 5000, REREAD_MS = 1000, FILE_BYTES_MAX = 256 * 1024 };

struct endpoint_identity {
	struct endpoint_identity_options options;
	struct svid *svid;
	struct private_key *key, *next_key;
	struct issuer_request *request; /* NULL: none under way */
	bool must_renew;
	uint64_t retry_ms; /* not before */
	struct loop_timer poll;
	struct web_identity *web;
	uint64_t reread_ms; /* the files, not before */
};

static int64_t now_s(const struct endpoint_identity *identity)
{
	const struct clock *clock = loop_clock(identity->options.loop);
	return clock->wall_ms(clock) / 1000;
}

/* --- https_spiffe --- */

static void on_issued(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct endpoint_identity *identity = arg;
	struct why own = {0};
	struct svid *svid;
	CHECK(identity->request != NULL && identity->next_key != NULL);
	identity->request = NULL;
	identity->retry_ms = loop_now_ms(identity->options.loop) + (err == ERR_NONE ? POLL_MS : RETRY_MS);
	if (err == ERR_NONE) {
		why = &own;
		err = svid_parse(issued->chain, issued->num_chain, &svid, &own);
	}
	if (err != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "federate", "the bundle endpoint gets no certificate", why);
		return;
	}
	svid_unref(identity->svid);
	private_key_unref(identity->key);
	identity->svid = svid;
	identity->key = TAKE_PTR(identity->next_key);
}

static void ask(struct endpoint_identity *identity)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024);
	if (identity->request != NULL || loop_now_ms(identity->options.loop) < identity->retry_ms)
		return;
	private_key_unref(identity->next_key);
	identity->next_key = private_key_generate();
	CHECK(private_key_public(identity->next_key, &spki) == ERR_NONE);
	identity->must_renew = false;
	identity->request =
		issuer_issue_federation(identity->options.issuer, buf_span(&spki), TTL_S, on_issued, identity);
}

static bool is_due(const struct endpoint_identity *identity)
{
	if (identity->svid == NULL || identity->must_renew)
		return true;
	int64_t from = svid_not_before_s(identity->svid), to = svid_not_after_s(identity->svid), now = now_s(identity);
	return now < from || now - from >= (to - from) / 2;
}

static void on_poll(struct loop_timer *timer)
{
	struct endpoint_identity *identity = container_of(timer, struct endpoint_identity, poll);
	if (is_due(identity))
		ask(identity);
	loop_timer_start(identity->options.loop, &identity->poll, POLL_MS, on_poll);
}

void endpoint_identity_renew(struct endpoint_identity *identity)
{
	if (identity->options.certificate_file != NULL)
		return;
	if (identity->request != NULL)
		issuer_abandon(TAKE_PTR(identity->request)); /* perhaps below the former root */
	identity->must_renew = true;
	identity->retry_ms = 0;
	ask(identity);
}

/* --- https_web --- */

static enum err read_web(const struct endpoint_identity *identity, struct web_identity **out, struct why *why)
{
	_cleanup_(buf_done) struct buf chain = BUF_INIT(FILE_BYTES_MAX);
	_cleanup_(buf_wipe) struct buf key = BUF_INIT(FILE_BYTES_MAX);
	RETURN_IF_ERR(fd_read_file(identity->options.certificate_file, FILE_BYTES_MAX, &chain, why));
	RETURN_IF_ERR(fd_read_private_file(identity->options.key_file, FILE_BYTES_MAX, &key, why));
	return web_identity_parse(buf_span(&chain), buf_span(&key), out, why);
}

/* Files that cannot be read, or are being replaced: what was read before stays. */
static void reread(struct endpoint_identity *identity)
{
	struct web_identity *fresh = NULL;
	struct why why = {0};
	uint64_t now_ms = loop_now_ms(identity->options.loop);
	if (now_ms < identity->reread_ms)
		return;
	identity->reread_ms = now_ms + REREAD_MS;
	if (read_web(identity, &fresh, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "federate", "the bundle endpoint's certificate cannot be read", &why);
		return;
	}
	web_identity_unref(identity->web);
	identity->web = fresh;
}

/* --- both --- */

struct endpoint_identity *endpoint_identity_new(const struct endpoint_identity_options *options)
{
	struct endpoint_identity *identity = mem_new(struct endpoint_identity);
	identity->options = *options;
	if (options->certificate_file == NULL)
		on_poll(&identity->poll);
	else
		reread(identity);
	return identity;
}

void endpoint_identity_free(struct endpoint_identity *identity)
{
	loop_timer_stop(&identity->poll);
	if (identity->request != NULL)
		issuer_abandon(identity->request);
	svid_unref(identity->svid);
	private_key_unref(identity->key);
	private_key_unref(identity->next_key);
	web_identity_unref(identity->web);
	mem_free(identity);
}

enum err endpoint_identity_fill(struct endpoint_identity *identity, struct tls_session_options *out, struct why *why)
{
	bool is_web = identity->options.certificate_file != NULL;
	if (is_web)
		reread(identity);
	if (is_web ? identity->web == NULL
		   : identity->svid == NULL || svid_not_after_s(identity->svid) <= now_s(identity))
		return why_set(why, ERR_UNAVAILABLE, "a certificate of the bundle endpoint",
			is_web ? "see the log for the file that cannot be read"
			       : "see the log for what the signer answers",
			"the bundle endpoint has no certificate now");
	out->web_identity = identity->web;
	out->svid = identity->svid;
	out->key = identity->key;
	return ERR_NONE;
}
