#include "control/federate/own_bundle.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "certs/digest.h"
#include "control/federate/bundle_jwks.h"
#include "control/store/record.h"

enum { RETRY_MS = 5000, RECORD_MAX = 512 };

static void fill(const struct own_bundle *own, struct jwks_bundle *out)
{
	struct span domain = span_of_str(own->domain.name);
	const struct bundle *bundle = bundle_set_find(own->bundles, domain);
	CHECK(bundle != NULL); /* a trust state without it does not exist */
	for (size_t i = 0; i < bundle_num_roots(bundle); i++)
		if (jwks_bundle_add_root(out, bundle_root(bundle, i)) != ERR_NONE)
			log_error("federate",
				"a root is left out of the bundle for partners; expected: roots of 8 KiB at most; fix: "
				"use a smaller root certificate");
	for (size_t i = 0; i < bundle_set_num_jwt_keys(own->bundles, domain); i++)
		if (jwks_bundle_add_jwt_key(out, bundle_set_jwt_kid(own->bundles, domain, i),
			    bundle_set_jwt_key(own->bundles, domain, i)) != ERR_NONE)
			log_warning("federate",
				"a key of JWT-SVIDs is left out of the bundle for partners: more than %u keys",
				(unsigned)JWKS_JWT_KEYS_MAX);
}

static void publish(struct own_bundle *own);

static void on_retry(struct loop_timer *timer)
{
	publish(container_of(timer, struct own_bundle, retry));
}

static void on_saved(void *arg, enum err err, _unused_ uint64_t version)
{
	struct own_bundle *own = arg;
	own->is_saving = false;
	if (err == ERR_NONE || err == ERR_CONFLICT || own->is_stale)
		publish(own);
	else
		loop_timer_start(own->loop, &own->retry, RETRY_MS, on_retry);
}

static void save(struct own_bundle *own, uint64_t sequence, const uint8_t digest[DIGEST_LEN], uint64_t version)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(RECORD_MAX);
	uint64_t incarnation = store_incarnation(own->store);
	CHECK(record_put_number(&record, "sequence", (int64_t)sequence) == ERR_NONE);
	CHECK(record_put_hex(&record, "content", span_of(digest, DIGEST_LEN)) == ERR_NONE);
	CHECK(record_put_hex(&record, "incarnation", span_of(&incarnation, sizeof(incarnation))) == ERR_NONE);
	own->is_saving = true;
	own->is_stale = false;
	store_swap(own->store, OWN_BUNDLE_KEY, version, buf_span(&record), on_saved, own);
}

/* The sequence with this content in the store; 0: it has another one, or none. */
static uint64_t read_stored(
	const struct own_bundle *own, const uint8_t digest[DIGEST_LEN], uint64_t *out_last, uint64_t *out_version)
{
	struct store_value value = {0};
	uint8_t content[DIGEST_LEN];
	uint64_t incarnation = 0;
	*out_last = *out_version = 0;
	if (!store_get(own->store, OWN_BUNDLE_KEY, &value))
		return 0;
	*out_version = value.version;
	*out_last = (uint64_t)record_number(value.bytes, "sequence", 0);
	bool is_same = record_hex(value.bytes, "content", content, sizeof(content)) &&
		       memcmp(content, digest, DIGEST_LEN) == 0 &&
		       record_hex(value.bytes, "incarnation", (uint8_t *)&incarnation, sizeof(incarnation)) &&
		       incarnation == store_incarnation(own->store);
	return is_same ? *out_last : 0;
}

static void publish(struct own_bundle *own)
{
	_cleanup_(jwks_bundle_done) struct jwks_bundle bundle = {0};
	_cleanup_(buf_done) struct buf text = BUF_INIT(JWKS_TEXT_MAX);
	const struct clock *clock = loop_clock(own->loop);
	uint8_t digest[DIGEST_LEN];
	uint64_t last, version, now_s = (uint64_t)(clock->wall_ms(clock) / 1000);
	if (own->is_saving) {
		own->is_stale = true;
		return;
	}
	fill(own, &bundle);
	CHECK(jwks_bundle_encode(&bundle, &text) == ERR_NONE);
	digest_sha256(buf_span(&text), digest);
	bundle.sequence = read_stored(own, digest, &last, &version);
	if (bundle.sequence == 0) {
		save(own, last + 1 > now_s ? last + 1 : now_s, digest, version);
		return;
	}
	bundle.has_sequence = true;
	bundle.refresh_hint_s = own->refresh_hint_s;
	own->sequence = bundle.sequence;
	buf_clear(&own->page);
	CHECK(jwks_bundle_encode(&bundle, &own->page) == ERR_NONE);
}

void own_bundle_start(struct own_bundle *own, struct loop *loop, struct store *store, const struct trust_domain *domain,
	uint32_t refresh_hint_s)
{
	*own = (struct own_bundle){.loop = loop,
		.store = store,
		.domain = *domain,
		.refresh_hint_s = refresh_hint_s,
		.page = BUF_INIT(JWKS_TEXT_MAX)};
}

void own_bundle_changed(struct own_bundle *own, struct bundle_set *bundles)
{
	bundle_set_ref(bundles);
	bundle_set_unref(own->bundles);
	own->bundles = bundles;
	publish(own);
}

void own_bundle_stop(struct own_bundle *own)
{
	loop_timer_stop(&own->retry);
	bundle_set_unref(own->bundles);
	buf_done(&own->page);
}
