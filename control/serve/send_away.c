/* Cut off from the store that other control planes share (cut_off.h): sidecars go to one that the store answers. */
#include "base/core/log.h"
#include "control/serve/identity_stream.h"
#include <inttypes.h>

#define REASON "this control plane is cut off from the store; try another one"

static bool must_go(struct serve *serve, const struct sidecar *sidecar)
{
	struct share_key identity = share_key_of_bytes(spiffe_id_text(&sidecar->id));
	struct share_key key = share_key_joined(share_key_of_ip(&sidecar->source), identity);
	if (!cut_off_sends_away(&serve->cut_off, &key, loop_now_ms(serve->options.loop)))
		return false;
	serve_count(serve, CONTROL_SENT_AWAY);
	return true;
}

bool send_away_stream(struct identity_stream *stream)
{
	if (!stream->serve->cut_off.is_cut_off || !must_go(stream->serve, stream->sidecar))
		return false;
	identity_stream_end(stream, RPC_UNAVAILABLE, REASON, CUT_OFF_RETRY_MS);
	return true;
}

/* Guests have no identity stream; a discovery stream that ends is opened again on the same connection. */
static void send_guests_away(struct serve *serve)
{
	LIST_EACH_REMOVABLE(&serve->sidecars, struct sidecar, sidecar, link) {
		if (sidecar->is_guest && must_go(serve, sidecar))
			rpc_peer_close(sidecar->peer);
	}
}

static void send_sidecars_away(struct serve *serve)
{
	unsigned left = serve->num_streams / 10;
	if (left < CUT_OFF_BATCH_MIN)
		left = CUT_OFF_BATCH_MIN;
	LIST_EACH_REMOVABLE(&serve->identity_streams, struct identity_stream, stream, link) {
		if (stream->call != NULL && send_away_stream(stream) && --left == 0)
			return;
	}
}

void send_away_poll(struct serve *serve)
{
	struct cut_off *cut_off = &serve->cut_off;
	struct why why = {0};
	uint64_t silent_ms = store_silent_ms(serve->options.store, &why);
	metric_set(serve->options.metrics, CONTROL_STORE_SILENT, (int64_t)(silent_ms / 1000));
	switch (cut_off_poll(cut_off, silent_ms, loop_now_ms(serve->options.loop))) {
	case CUT_OFF_BEGAN:
		log_why(LOG_LEVEL_ERROR, "serve",
			"cut off from the store: not ready, and sidecars are sent to other control planes", &why);
		break;
	case CUT_OFF_ENDED:
		log_notice("serve", "the store answers again: sidecars are taken as before");
		break;
	case CUT_OFF_SAME:
		break;
	}
	if (!cut_off->is_cut_off)
		return;
	send_guests_away(serve);
	send_sidecars_away(serve);
}

enum err send_away_put_obstacle(const struct serve *serve, struct buf *out)
{
	struct why why = {0};
	uint64_t silent_ms = store_silent_ms(serve->options.store, &why);
	if (!serve->cut_off.is_cut_off)
		return ERR_NONE;
	return buf_printf(out,
		"the store has not answered for %" PRIu64 " s: sidecars are sent to other control planes: %s\n",
		silent_ms / 1000, why.got);
}
