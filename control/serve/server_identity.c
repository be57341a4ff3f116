#include "control/serve/server_identity.h"
#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"

#define RETRY_MS  5000
#define POLL_MS   1000
#define ABOVE_MAX 32768

struct server_identity {
	struct loop *loop;
	struct issuer *issuer;
	void (*on_ready)(void *arg, enum err err, const struct why *why); /* NULL: was called */
	void *arg;
	struct svid *svid;
	struct private_key *key, *next_key;
	struct buf above; /* DER, one after the other */
	struct span parts[SERVER_IDENTITY_ABOVE_MAX];
	size_t num_parts;
	uint64_t issued_boot_ms;
	bool is_asking, must_renew;
	uint64_t retry_ms; /* after a failure, not before; 0: at once */
	struct loop_timer poll;
};

static void keep_parts(struct server_identity *identity, const struct issued *issued)
{
	struct span rest = buf_span(&identity->above);
	identity->num_parts = issued->num_chain - 1;
	for (size_t i = 0; i < identity->num_parts; i++) {
		identity->parts[i] = span_of(rest.ptr, issued->chain[i + 1].len);
		rest = span_from(rest, issued->chain[i + 1].len);
	}
}

static enum err adopt(struct server_identity *identity, const struct issued *issued, struct why *why)
{
	_cleanup_(buf_done) struct buf above = BUF_INIT(ABOVE_MAX);
	struct svid *svid;
	if (issued->num_chain != 2 && issued->num_chain != 4)
		return why_set(why, ERR_MALFORMED, "a leaf and a root, or both roots", "report this as a defect",
			"the signer answered with %zu certificates", issued->num_chain);
	for (size_t i = 1; i < issued->num_chain; i++)
		RETURN_IF_ERR(buf_append(&above, issued->chain[i]));
	RETURN_IF_ERR(svid_parse(issued->chain, 1, &svid, why));
	buf_done(&identity->above);
	identity->above = above;
	above = (struct buf){0};
	keep_parts(identity, issued);
	if (identity->svid != NULL)
		svid_unref(identity->svid);
	if (identity->key != NULL)
		private_key_unref(identity->key);
	identity->svid = svid;
	identity->key = TAKE_PTR(identity->next_key);
	return ERR_NONE;
}

static void report(struct server_identity *identity, enum err err, const struct why *why)
{
	if (identity->on_ready != NULL)
		identity->on_ready(identity->arg, err, why);
	else if (err != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, "serve", "the server certificate cannot be renewed", why);
	identity->on_ready = NULL;
}

static uint64_t boot_ms(const struct server_identity *identity)
{
	const struct clock *clock = loop_clock(identity->loop);
	return clock->boot_ms(clock);
}

static void on_issued(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct server_identity *identity = arg;
	struct why own = {0};
	CHECK(identity->is_asking && identity->next_key != NULL);
	identity->is_asking = false;
	if (err == ERR_NONE) {
		why = &own;
		err = adopt(identity, issued, &own);
	}
	if (err == ERR_NONE)
		identity->issued_boot_ms = boot_ms(identity);
	/* Also after a success: a certificate that is due at once (its root expires) must not keep the signer busy. */
	identity->retry_ms = loop_now_ms(identity->loop) + (err == ERR_NONE ? POLL_MS : RETRY_MS);
	report(identity, err, why);
	if (err != ERR_NONE)
		identity->must_renew = true; /* on_poll() tries again */
	else if (identity->must_renew)
		server_identity_renew(identity);
}

static void ask(struct server_identity *identity)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024);
	if (identity->is_asking || loop_now_ms(identity->loop) < identity->retry_ms)
		return;
	if (identity->next_key != NULL)
		private_key_unref(identity->next_key);
	identity->next_key = private_key_generate();
	CHECK(private_key_public(identity->next_key, &spki) == ERR_NONE);
	identity->is_asking = true;
	identity->must_renew = false;
	issuer_issue_control(identity->issuer, buf_span(&spki), SERVER_IDENTITY_TTL_S, on_issued, identity);
}

/* A clock that was set back to before notBefore makes it due: its remaining lifetime is then not the intended one. */
enum server_identity_state server_identity_judge(int64_t from_s, int64_t to_s, int64_t now_s, uint64_t age_ms)
{
	uint64_t life_ms = to_s > from_s ? (uint64_t)(to_s - from_s) * 1000 : 0;
	if (now_s >= to_s || age_ms >= life_ms)
		return SERVER_IDENTITY_EXPIRED;
	if (now_s < from_s || now_s - from_s >= (to_s - from_s) / 2 || age_ms >= life_ms / 2)
		return SERVER_IDENTITY_DUE;
	return SERVER_IDENTITY_GOOD;
}

static enum server_identity_state judge(const struct server_identity *identity)
{
	const struct clock *clock = loop_clock(identity->loop);
	if (identity->svid == NULL)
		return SERVER_IDENTITY_EXPIRED;
	return server_identity_judge(svid_not_before_s(identity->svid), svid_not_after_s(identity->svid),
		clock->wall_ms(clock) / 1000, boot_ms(identity) - identity->issued_boot_ms);
}

bool server_identity_poll(struct server_identity *identity)
{
	enum server_identity_state state = judge(identity);
	if (state != SERVER_IDENTITY_GOOD || identity->must_renew)
		ask(identity);
	return state != SERVER_IDENTITY_EXPIRED;
}

bool server_identity_is_usable(const struct server_identity *identity)
{
	return judge(identity) != SERVER_IDENTITY_EXPIRED;
}

int64_t server_identity_not_after_s(const struct server_identity *identity)
{
	return identity->svid == NULL ? 0 : svid_not_after_s(identity->svid);
}

static void on_poll(struct loop_timer *timer)
{
	struct server_identity *identity = container_of(timer, struct server_identity, poll);
	server_identity_poll(identity);
	loop_timer_start(identity->loop, &identity->poll, POLL_MS, on_poll);
}

struct server_identity *server_identity_new(struct loop *loop, struct issuer *issuer,
	void (*on_ready)(void *arg, enum err err, const struct why *why), void *arg)
{
	struct server_identity *identity = mem_new(struct server_identity);
	*identity = (struct server_identity){.loop = loop, .issuer = issuer, .on_ready = on_ready, .arg = arg};
	ask(identity);
	loop_timer_start(loop, &identity->poll, POLL_MS, on_poll);
	return identity;
}

void server_identity_free(struct server_identity *identity)
{
	loop_timer_stop(&identity->poll);
	if (identity->svid != NULL)
		svid_unref(identity->svid);
	if (identity->key != NULL)
		private_key_unref(identity->key);
	if (identity->next_key != NULL)
		private_key_unref(identity->next_key);
	buf_done(&identity->above);
	mem_free(identity);
}

struct svid *server_identity_svid(const struct server_identity *identity)
{
	return identity->svid;
}

struct private_key *server_identity_key(const struct server_identity *identity)
{
	return identity->key;
}

const struct span *server_identity_above(const struct server_identity *identity, size_t *out_num)
{
	*out_num = identity->num_parts;
	return identity->parts;
}

/* Of three, the first is cross-signed. */
struct span server_identity_root(const struct server_identity *identity)
{
	return identity->num_parts == 0 ? (struct span){0} : identity->parts[identity->num_parts == 1 ? 0 : 1];
}

void server_identity_renew(struct server_identity *identity)
{
	identity->must_renew = true;
	if (identity->is_asking)
		return; /* its answer may be of the former one, and comes back here */
	identity->retry_ms = 0;
	ask(identity);
}
