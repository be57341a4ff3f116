#include "control/kube/webhook_identity.h"

#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "certs/expiry.h"
#include "certs/private_key.h"
#include "control/issue/certificate.h"
#include "control/serve/server_identity.h"
#include <stdio.h>

enum { POLL_MS = 1000, SPKI_MAX = 1024 };

struct pair {                 /* an authority, and the certificate that it has signed; zeroed: none */
	struct buf authority; /* DER */
	struct web_identity *web;
	int64_t not_before_s, not_after_s;
	uint64_t made_boot_ms;
};

struct webhook_identity {
	struct loop *loop;
	char *dns_name;
	void (*on_change)(void *arg);
	void *arg;
	struct pair pair, fresh;
	struct loop_timer poll, change_over;
};

static void pair_done(struct pair *pair)
{
	buf_done(&pair->authority);
	web_identity_unref(pair->web);
	*pair = (struct pair){0};
}

/* Two authorities of one name would be tried in turn by verifiers. */
static void make_authority(const struct private_key *key, struct pair *pair)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(SPKI_MAX);
	char name[32];
	struct why why = {0};
	snprintf(name, sizeof(name), "Handfast webhook %08x", (unsigned)random_u64());
	CHECK(private_key_public(key, &spki) == ERR_NONE);
	buf_init(&pair->authority, CERTIFICATE_MAX);
	CHECK(certificate_make(&(struct certificate_spec){.kind = CERTIFICATE_BOOTSTRAP,
				       .name = name,
				       .spki = buf_span(&spki),
				       .not_before_s = pair->not_before_s,
				       .not_after_s = pair->not_after_s,
				       .issuer_key = key},
		      &pair->authority, &why) == ERR_NONE);
}

static struct pair make(const struct webhook_identity *identity)
{
	const struct clock *clock = loop_clock(identity->loop);
	_cleanup_(private_key_unrefp) struct private_key *authority_key = private_key_generate();
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf spki = BUF_INIT(SPKI_MAX), leaf = BUF_INIT(CERTIFICATE_MAX);
	int64_t now_s = clock->wall_ms(clock) / 1000;
	struct why why = {0};
	struct pair pair = {.not_before_s = now_s - WEBHOOK_BACKDATE_S,
		.not_after_s = now_s + WEBHOOK_IDENTITY_TTL_S,
		.made_boot_ms = clock->boot_ms(clock)};
	make_authority(authority_key, &pair);
	CHECK(private_key_public(key, &spki) == ERR_NONE);
	CHECK(certificate_make(&(struct certificate_spec){.kind = CERTIFICATE_WEB,
				       .dns = span_of_str(identity->dns_name),
				       .spki = buf_span(&spki),
				       .not_before_s = pair.not_before_s,
				       .not_after_s = pair.not_after_s,
				       .issuer = buf_span(&pair.authority),
				       .issuer_key = authority_key},
		      &leaf, &why) == ERR_NONE);
	struct span chain = buf_span(&leaf);
	CHECK(web_identity_new(&chain, 1, key, &pair.web, &why) == ERR_NONE);
	return pair;
}

static enum server_identity_state judge(const struct webhook_identity *identity, const struct pair *pair)
{
	const struct clock *clock = loop_clock(identity->loop);
	return server_identity_judge(pair->not_before_s, pair->not_after_s, clock->wall_ms(clock) / 1000,
		clock->boot_ms(clock) - pair->made_boot_ms);
}

static void use_fresh(struct webhook_identity *identity)
{
	CHECK(identity->fresh.web != NULL);
	loop_timer_stop(&identity->change_over);
	pair_done(&identity->pair);
	identity->pair = identity->fresh;
	identity->fresh = (struct pair){0};
	log_notice("webhook", "the webhook has a new certificate");
}

static void on_change_over(struct loop_timer *timer)
{
	use_fresh(container_of(timer, struct webhook_identity, change_over));
}

static void on_poll(struct loop_timer *timer)
{
	struct webhook_identity *identity = container_of(timer, struct webhook_identity, poll);
	bool is_expired = judge(identity, &identity->pair) == SERVER_IDENTITY_EXPIRED;
	loop_timer_start(identity->loop, timer, POLL_MS, on_poll);
	/* The clock can also be set so far that the fresh pair has expired before it is registered. */
	if (identity->fresh.web != NULL && judge(identity, &identity->fresh) != SERVER_IDENTITY_GOOD) {
		loop_timer_stop(&identity->change_over);
		pair_done(&identity->fresh);
	}
	if (identity->fresh.web == NULL && judge(identity, &identity->pair) != SERVER_IDENTITY_GOOD) {
		identity->fresh = make(identity);
		if (is_expired) /* nothing is lost: the former one is accepted by none */
			use_fresh(identity);
		identity->on_change(identity->arg);
	}
}

struct webhook_identity *webhook_identity_new(
	struct loop *loop, const char *dns_name, void (*on_change)(void *arg), void *arg)
{
	struct webhook_identity *identity = mem_new(struct webhook_identity);
	identity->loop = loop;
	identity->dns_name = mem_strdup(dns_name);
	identity->on_change = on_change;
	identity->arg = arg;
	identity->pair = make(identity);
	loop_timer_start(loop, &identity->poll, POLL_MS, on_poll);
	return identity;
}

void webhook_identity_free(struct webhook_identity *identity)
{
	if (identity == NULL)
		return;
	loop_timer_stop(&identity->poll);
	loop_timer_stop(&identity->change_over);
	pair_done(&identity->pair);
	pair_done(&identity->fresh);
	mem_free(identity->dns_name);
	mem_free(identity);
}

struct web_identity *webhook_identity_get(const struct webhook_identity *identity)
{
	return identity->pair.web;
}

size_t webhook_identity_authorities(const struct webhook_identity *identity, struct span out[WEBHOOK_AUTHORITIES_MAX])
{
	size_t num = 0;
	out[num++] = buf_span(&identity->pair.authority);
	if (identity->fresh.web != NULL)
		out[num++] = buf_span(&identity->fresh.authority);
	return num;
}

bool webhook_identity_is_late(const struct webhook_identity *identity, struct why *why)
{
	const struct clock *clock = loop_clock(identity->loop);
	const struct pair *pair = &identity->pair;
	int64_t left_s = pair->not_after_s - clock->wall_ms(clock) / 1000;
	if (left_s >= cert_expiry_margin_s("webhook", pair->not_before_s, pair->not_after_s, INT64_MAX))
		return false;
	(void)why_set(why, ERR_EXPIRED, "a certificate that is replaced at half of its life",
		"see the log of handfast-control, and its clock: may it patch its MutatingWebhookConfiguration?",
		"the webhook's certificate expires in %lld minutes", (long long)left_s / 60);
	return true;
}

void webhook_identity_registered(struct webhook_identity *identity)
{
	if (identity->fresh.web != NULL && !loop_timer_is_armed(&identity->change_over))
		loop_timer_start(identity->loop, &identity->change_over, WEBHOOK_IDENTITY_SWITCH_MS, on_change_over);
}
