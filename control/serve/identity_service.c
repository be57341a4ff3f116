/* Identity: renewals, trust and claims of a sidecar. */
#include "base/core/check.h"
#include "base/core/date.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/serve/identity_stream.h"
#include <stdio.h>

#define SLOT_MIN_MS 500

enum { REPORTS_GIVE_WAY_MAX = REPORT_MAX / 1024 + 1 }; /* to one: each has a KiB at least */

void identity_stream_end(struct identity_stream *stream, enum rpc_status status, const char *message, uint32_t retry_ms)
{
	if (stream->call != NULL)
		rpc_call_finish(TAKE_PTR(stream->call), status, message, retry_ms);
}

/* Each message is small or rare; a sidecar that does not read them has to reconnect. */
void identity_stream_send(struct identity_stream *stream, enum err err, const struct buf *message)
{
	if (stream->call == NULL)
		return;
	if (err == ERR_NONE)
		err = rpc_call_send(stream->call, buf_span(message));
	if (err != ERR_NONE)
		identity_stream_end(stream, RPC_RESOURCE_EXHAUSTED, "messages are not read", 1000);
}

/* Spread over the time that the signer needs for all of them. */
static void send_slot(struct identity_stream *stream)
{
	const struct serve *serve = stream->serve;
	const struct rotation_state *rotation = rotation_state_of(serve->options.rotation);
	_cleanup_(buf_done) struct buf message = BUF_INIT(256);
	uint32_t within_ms = SLOT_MIN_MS + serve->num_streams * SERVE_RENEWAL_MS;
	if (!stream->has_hello || rotation->phase != ROTATION_REISSUING ||
		memcmp(stream->sidecar->root_tag, rotation->active, ROTATION_TAG_LEN) == 0)
		return;
	enum err err = identity_slot_encode(within_ms, serve_now_ms(serve), &message);
	identity_stream_send(stream, err, &message);
}

void identity_push_slots(struct serve *serve)
{
	LIST_EACH_REMOVABLE(&serve->identity_streams, struct identity_stream, stream, link) {
		send_slot(stream);
	}
}

void identity_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	struct serve *serve = arg;
	struct identity_stream *stream = mem_new(struct identity_stream);
	stream->serve = serve;
	stream->call = call;
	stream->sidecar = sidecar_ref(rpc_peer_arg(peer));
	stream->since_ms = loop_now_ms(serve->options.loop);
	list_push_front(&serve->identity_streams, &stream->link);
	serve->num_streams++;
	rpc_call_set_arg(call, stream);
	(void)send_away_stream(stream);
}

/* --- renewal --- */

struct renewal {
	struct list_link link;
	struct identity_stream *stream;
	struct grant *grant;
	uint64_t request_id;
};

static void renewal_free(struct renewal *renewal)
{
	list_remove(&renewal->link);
	mem_free(renewal);
}

static void refuse_renewal(struct identity_stream *stream, uint64_t request_id, enum err err, const struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	char text[700];
	why_format(why, text, sizeof text);
	serve_count(stream->serve, err == ERR_LIMIT ? CONTROL_RENEW_LIMITED : CONTROL_RENEW_REFUSED);
	if (limited_log_allows_identity(stream->serve->lines, stream->sidecar->id.text, "renewal refused"))
		log_warning("audit", "renewal refused: %s: %s: %s", stream->sidecar->id.text, err_label(err), text);
	err = identity_renewed_encode(
		request_id, NULL, text, serve_retry_ms(stream->serve, err), serve_now_ms(stream->serve), &message);
	identity_stream_send(stream, err, &message);
}

static void hand_over(struct identity_stream *stream, uint64_t request_id, const struct granted *granted)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_OUT_MAX);
	struct trust *trust = stream->serve->options.trust;
	struct epoch now = trust_epoch(trust);
	struct svid_down svid = {granted->chain, granted->num_chain, epoch_eq(&stream->acked, &now) ? NULL : trust,
		stream->takes_lists, false};
	serve_count(stream->serve, CONTROL_RENEWED);
	serve_count(stream->serve, CONTROL_SVIDS);
	stream->serve->num_issued++;
	connections_note_granted(stream->serve, stream->sidecar, granted);
	char until[DATE_TEXT_MAX];
	log_notice("audit", "renewed: %s, SVID until %s", granted->svid_holder->id.text,
		date_format(granted->svid_holder->not_after_s, until));
	enum err err = identity_renewed_encode(request_id, &svid, NULL, 0, serve_now_ms(stream->serve), &message);
	identity_stream_send(stream, err, &message);
}

static void on_granted(void *arg, enum err err, const struct granted *granted, const struct why *why)
{
	struct renewal *renewal = arg;
	struct why own = {0};
	if (err == ERR_NONE)
		hand_over(renewal->stream, renewal->request_id, granted);
	else
		refuse_renewal(renewal->stream, renewal->request_id, err, why == NULL ? &own : why);
	renewal_free(renewal);
}

/* The stream is closed: these answers have no receiver. */
static void abandon_renewals(struct identity_stream *stream)
{
	LIST_EACH_REMOVABLE(&stream->renewals, struct renewal, renewal, link) {
		grant_abandon(renewal->grant);
		renewal_free(renewal);
	}
}

static enum err renew(struct identity_stream *stream, struct identity_up *up, struct why *why)
{
	struct serve *serve = stream->serve;
	struct sidecar *sidecar = stream->sidecar;
	struct share_key identity = share_key_of_bytes(span_of(sidecar->id.text, sidecar->id.text_len));
	struct share_key key = share_key_joined(share_key_of_ip(&sidecar->source), identity);
	if (!rates_take(serve->renew_rates, &key, loop_now_ms(serve->options.loop)))
		return why_set(
			why, ERR_LIMIT, "few renewals under way", "update the sidecar", "the stream has too many");
	RETURN_IF_ERR(serve_exported(sidecar->peer, up->renew.csr, up->renew.exported));
	up->renew.source = sidecar->source;
	up->renew.unix_fd = rpc_peer_fd(sidecar->peer);
	up->renew.own = &sidecar->id;
	up->renew.proves_claims = stream->proves_claims;
	struct renewal *renewal = mem_new(struct renewal);
	*renewal = (struct renewal){.stream = stream, .request_id = up->request_id};
	list_push_front(&stream->renewals, &renewal->link);
	renewal->grant = grant_start(serve->granter, &up->renew, on_granted, renewal);
	return ERR_NONE;
}

/* --- messages --- */

/* Which trust state it gets depends on its hello. */
static void begin(struct identity_stream *stream)
{
	stream->has_hello = true;
	identity_stream_send_trust(stream);
	send_slot(stream);
}

/* Again whenever the sidecar begins to drain, and when its health changes: what it reports is of its own row alone. */
static enum err hello(struct identity_stream *stream, const struct identity_up *up, struct why *why)
{
	if (up->protocol_version != 1)
		return why_set(why, ERR_UNSUPPORTED, "protocol version 1",
			"bring both sides to releases close to each other", "the sidecar has version %u",
			up->protocol_version);
	for (size_t i = 0; i < up->num_addresses && !stream->has_hello; i++)
		if (registry_note_address(stream->serve->options.registry, &stream->sidecar->id, &up->addresses[i]))
			serve_count(stream->serve, CONTROL_OUTSIDE_MESH);
	stream->proves_claims = up->proves_claims;
	stream->takes_lists = up->takes_lists;
	stream->health = up->health;
	CHECK(up->release.len < sizeof stream->release); /* identity_up_parse() cuts it */
	if (up->release.len > 0)
		memcpy(stream->release, up->release.ptr, up->release.len);
	stream->release[up->release.len] = 0;
	if (!stream->has_hello)
		begin(stream);
	return claims_set_hello(stream, up->zone, up->is_draining, why);
}

/* A rotation waits for confirmations, and a restart must not lose those of sidecars that are away by then. */
static void keep_ack_of(struct identity_stream *stream, uint64_t since)
{
	struct store *store = stream->serve->options.store;
	const uint8_t *key_hash = stream->sidecar->svid_holder;
	if (since == 0 || stream->acked.counter < since || !stream->sidecar->has_svid_holder)
		return;
	struct epoch known = svid_holders_ack(store, key_hash);
	if (known.incarnation != stream->acked.incarnation || known.counter < since)
		svid_holders_put_ack(store, key_hash, &stream->acked);
}

static void keep_ack(struct identity_stream *stream)
{
	const struct serve_options *options = &stream->serve->options;
	if (rotation_state_of(options->rotation)->phase == ROTATION_PUBLISHING)
		keep_ack_of(stream, trust_roots_since(options->trust));
	if (bootstrap_state_of(options->bootstrap)->phase != BOOTSTRAP_NONE)
		keep_ack_of(stream, trust_pins_since(options->trust));
}

/* Each sidecar confirms once. Its record may become known later than that: a process that was upgraded has renewed
 * since, so that another certificate is in the record. And the store may have refused it. */
void identity_keep_acks(struct serve *serve)
{
	LIST_EACH(&serve->identity_streams, struct identity_stream, stream, link)
		keep_ack(stream);
}

/* An epoch that was never issued is ignored. */
static void ack(struct identity_stream *stream, const struct identity_up *up)
{
	struct epoch now = trust_epoch(stream->serve->options.trust);
	stream->sidecar->answering = stream;
	if (up->acked.incarnation != now.incarnation || up->acked.counter > now.counter || up->acked.counter == 0)
		return;
	if (up->refused_reason.len == 0) {
		stream->acked = up->acked;
		keep_ack(stream);
		return;
	}
	serve_count(stream->serve, CONTROL_TRUST_REFUSED);
	if (!limited_log_allows_identity(stream->serve->lines, stream->sidecar->id.text, "trust refused"))
		return;
	log_error("audit", "trust refused: epoch %llu by %s: %.*s", (unsigned long long)up->acked.counter,
		stream->sidecar->id.text, (int)up->refused_reason.len, (const char *)up->refused_reason.ptr);
}

static enum err take(struct identity_stream *stream, struct identity_up *up, struct why *why)
{
	if (!stream->has_hello && up->kind != IDENTITY_HELLO)
		return why_set(why, ERR_PROTOCOL, "hello as the first message", "update the sidecar",
			"the stream begins with another message");
	switch (up->kind) {
	case IDENTITY_HELLO:
		return hello(stream, up, why);
	case IDENTITY_RENEW: {
		enum err err = renew(stream, up, why);
		if (err != ERR_NONE)
			refuse_renewal(stream, up->request_id, err, why);
		return ERR_NONE;
	}
	case IDENTITY_ACK:
		ack(stream, up);
		return ERR_NONE;
	case IDENTITY_CLAIM:
		return claims_claim(stream, up, why);
	case IDENTITY_RELEASE:
		return claims_release(stream, why);
	case IDENTITY_REPORT:
		return ERR_NONE; /* identity_message() keeps it as it came */
	}
	CHECK_UNREACHABLE();
}

static void drop_report(struct identity_stream *stream)
{
	shares_give(&stream->report_share);
	buf_done(&stream->report);
	stream->num_seen = stream->num_ports = 0;
}

/* Where there is no room, reports of the identity that has the most give way (abuse case D40). False: no room. */
static bool make_room(struct identity_stream *stream, uint64_t kib)
{
	struct shares *reports = stream->serve->reports;
	struct share_key key = share_key_of_bytes(spiffe_id_text(&stream->sidecar->id));
	for (int i = 0; i < REPORTS_GIVE_WAY_MAX; i++) {
		if (shares_take(reports, 0, &key, 1, kib, &stream->report_share) == SHARE_LIMIT_NONE)
			return true;
		struct share *oldest = shares_eviction_candidate(reports, 0, &key, 1, kib);
		if (oldest == NULL)
			return false;
		struct identity_stream *other = container_of(oldest, struct identity_stream, report_share);
		drop_report(other);
		other->is_report_left_out = true;
	}
	return false;
}

static void count_seen(void *arg, _unused_ const struct seen_peer *seen)
{
	((struct identity_stream *)arg)->num_seen++;
}

static void count_port(void *arg, _unused_ uint16_t port, _unused_ bool plaintext)
{
	((struct identity_stream *)arg)->num_ports++;
}

/* It takes the place of the one before. What was not asked for or comes too often is ignored, what is too large is left
 * out: it is no reason to end a sidecar's stream. */
static void keep_report(struct identity_stream *stream, struct span message)
{
	const struct serve_options *options = &stream->serve->options;
	uint64_t now_ms = loop_now_ms(options->loop);
	uint64_t least_ms = (uint64_t)options->report_each_s * 1000 / 2;
	if (options->report_each_s == 0 || (stream->report_ms != 0 && now_ms - stream->report_ms < least_ms))
		return;
	stream->report_ms = now_ms;
	drop_report(stream);
	stream->is_report_left_out = message.len > REPORT_MAX || !make_room(stream, message.len / 1024 + 1);
	if (stream->is_report_left_out)
		return;
	stream->report = BUF_INIT(REPORT_MAX);
	CHECK(buf_append(&stream->report, message) == ERR_NONE);
	(void)identity_report_each(message, count_seen, count_port, stream);
}

void identity_message(void *arg, struct rpc_call *call, struct span message)
{
	struct identity_stream *stream = arg;
	_cleanup_(identity_up_done) struct identity_up up = {0};
	struct why why = {0};
	char text[700];
	(void)call;
	if (stream->call == NULL)
		return;
	enum err err = identity_up_parse(message, &up, &why);
	if (err == ERR_NONE)
		err = take(stream, &up, &why);
	if (err == ERR_NONE && up.kind == IDENTITY_REPORT)
		keep_report(stream, message);
	if (err != ERR_NONE)
		identity_stream_end(stream, serve_status(err), why_format(&why, text, sizeof text), 0);
}

void identity_half_close(void *arg, struct rpc_call *call)
{
	(void)call;
	identity_stream_end(arg, RPC_OK, NULL, 0);
}

void identity_done(void *arg, struct rpc_call *call)
{
	struct identity_stream *stream = arg;
	(void)call;
	stream->call = NULL;
	list_remove(&stream->link);
	CHECK(stream->serve->num_streams > 0);
	stream->serve->num_streams--;
	drop_report(stream);
	claims_stream_gone(stream);
	abandon_renewals(stream);
	if (stream->sidecar->answering == stream)
		stream->sidecar->answering = NULL;
	CHECK(stream->claiming == NULL && !stream->holds_address && list_is_empty(&stream->renewals));
	sidecar_unref(stream->sidecar);
	mem_free(stream);
}

void identity_each(const struct serve *serve, identity_view_fn *each, void *arg)
{
	LIST_EACH(&serve->identity_streams, struct identity_stream, stream, link) {
		struct identity_view view = {.sidecar = stream->sidecar,
			.acked = stream->acked,
			.release = stream->release,
			.holds_address = stream->holds_address,
			.is_draining = stream->is_draining,
			.health = &stream->health,
			.since_ms = stream->since_ms,
			.is_copied = &stream->is_copied,
			.report = buf_span(&stream->report),
			.num_seen = stream->num_seen,
			.num_ports = stream->num_ports,
			.is_left_out = stream->is_report_left_out,
			.knows_revocations = stream->takes_lists,
			.answers_trust = stream->sidecar->answering == stream};
		each(arg, &view);
	}
}
