#include "control/serve/server_identity.h"
#include "base/core/buf.h"
#include "base/core/log.h"
#include "base/core/mem.h"

#define RETRY_MS 30000

struct server_identity {
	struct loop *loop;
	struct issuer *issuer;
	void (*on_ready)(void *arg, enum err err, const struct why *why); /* NULL: was called */
	void *arg;
	struct svid *svid;
	struct private_key *key, *next_key;
	struct buf root;
	struct loop_timer renewal;
};

static enum err adopt(struct server_identity *identity, const struct issued *issued, struct why *why)
{
	struct svid *svid;
	if (issued->num_chain != 2)
		return why_set(why, ERR_MALFORMED, "leaf and root", "report this", "%zu", issued->num_chain);
	RETURN_IF_ERR(svid_parse(issued->chain, 1, &svid, why));
	buf_clear(&identity->root);
	enum err err = buf_append(&identity->root, issued->chain[1]);
	if (err != ERR_NONE) {
		svid_unref(svid);
		return err;
	}
	if (identity->svid != NULL)
		svid_unref(identity->svid);
	if (identity->key != NULL)
		private_key_unref(identity->key);
	identity->svid = svid;
	identity->key = TAKE_PTR(identity->next_key);
	return ERR_NONE;
}

static void tell(struct server_identity *identity, enum err err, const struct why *why)
{
	if (identity->on_ready != NULL)
		identity->on_ready(identity->arg, err, why);
	else if (err != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, "serve", "the server certificate cannot be renewed", why);
	identity->on_ready = NULL;
}

static void ask(struct server_identity *identity);

static void on_renewal(struct loop_timer *timer)
{
	ask(container_of(timer, struct server_identity, renewal));
}

static void on_issued(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct server_identity *identity = arg;
	struct why own = {0};
	if (err == ERR_NONE) {
		why = &own;
		err = adopt(identity, issued, &own);
	}
	loop_timer_start(identity->loop, &identity->renewal,
		err == ERR_NONE ? SERVER_IDENTITY_TTL_S * 500ULL : RETRY_MS, on_renewal);
	tell(identity, err, why);
}

static void ask(struct server_identity *identity)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024);
	if (identity->next_key != NULL)
		private_key_unref(identity->next_key);
	identity->next_key = private_key_generate();
	if (private_key_public(identity->next_key, &spki) == ERR_NONE)
		issuer_issue_control(identity->issuer, buf_span(&spki), SERVER_IDENTITY_TTL_S, on_issued, identity);
}

struct server_identity *server_identity_new(struct loop *loop, struct issuer *issuer,
	void (*on_ready)(void *arg, enum err err, const struct why *why), void *arg)
{
	struct server_identity *identity = mem_new(struct server_identity);
	*identity = (struct server_identity){.loop = loop, .issuer = issuer, .on_ready = on_ready, .arg = arg};
	buf_init(&identity->root, 8192);
	ask(identity);
	return identity;
}

void server_identity_free(struct server_identity *identity)
{
	loop_timer_stop(&identity->renewal);
	if (identity->svid != NULL)
		svid_unref(identity->svid);
	if (identity->key != NULL)
		private_key_unref(identity->key);
	if (identity->next_key != NULL)
		private_key_unref(identity->next_key);
	buf_done(&identity->root);
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

struct span server_identity_root(const struct server_identity *identity)
{
	return buf_span(&identity->root);
}
