/* What is kept of discovery for a restart without a control plane: the mesh state and the answers, as messages that
 * discovery_down_parse() checks like received ones. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/kept.pb-c.h"
#include "sidecar/discovery/discovery_client_private.h"
#include "sidecar/discovery/messages.h"

void discovery_kept_stale(struct discovery_client *client, bool must_not_be_used)
{
	if (client->options.on_stale != NULL)
		client->options.on_stale(client->options.arg, must_not_be_used);
}

bool discovery_kept_has_plaintext(const struct discovery_client *client, const struct addr *destination)
{
	const struct answer *known = subscription_set_find(client->subscriptions, destination);
	return known != NULL && known->kind == DESTINATION_PLAINTEXT;
}

void discovery_kept_mesh(struct discovery_client *client, struct span message)
{
	bool is_same = span_eq(buf_span(&client->mesh), message);
	buf_clear(&client->mesh);
	client->is_mesh_too_large = buf_append(&client->mesh, message) != ERR_NONE;
	if (client->is_mesh_too_large)
		buf_done(&client->mesh);
	if (!is_same)
		discovery_kept_stale(client, true);
}

/* --- keep --- */

/* Parts of one message that are packed one after the other are the message with all of them. */
static enum err append(const struct kept_for *for_, struct span message, struct buf *out)
{
	Handfast__V1__KeptDestinations part = HANDFAST__V1__KEPT_DESTINATIONS__INIT;
	ProtobufCBinaryData bytes = pb_bytes(message);
	if (for_ != NULL) {
		part.id = pb_bytes(for_->id);
		part.not_after_s = for_->not_after_s;
	}
	part.messages = &bytes;
	part.n_messages = 1;
	return pb_pack(&part.base, out);
}

static bool keep_answer(void *arg, const struct answer *answer)
{
	struct buf *out = arg;
	_cleanup_(buf_done) struct buf message = BUF_INIT(DISCOVERY_MESSAGE_MAX);
	if (discovery_answer_encode(answer, &message) != ERR_NONE)
		return true; /* one that is too large is left out */
	return append(NULL, buf_span(&message), out) == ERR_NONE;
}

enum err discovery_client_keep(const struct discovery_client *client, const struct kept_for *for_, struct buf *out)
{
	if (client->is_mesh_too_large)
		return ERR_LIMIT;
	if (buf_len(&client->mesh) == 0)
		return ERR_NONE;
	RETURN_IF_ERR(append(for_, buf_span(&client->mesh), out));
	subscription_set_each_answer(client->subscriptions, keep_answer, out);
	return ERR_NONE;
}

/* --- take over --- */

static void take(struct discovery_client *client, struct span bytes, struct discovery_down *down)
{
	struct addr dropped;
	if (down->kind == DISCOVERY_DOWN_MESH) {
		if (buf_append(&client->mesh, bytes) != ERR_NONE)
			buf_done(&client->mesh);
		client->options.on_mesh(client->options.arg, down->networks, down->policy);
	}
	for (size_t i = 0; i < down->num_answers; i++) {
		struct answer *answer = down->answers[i];
		(void)subscription_set_add(client->subscriptions, &answer->destination, &dropped);
		if (subscription_set_update(client->subscriptions, answer))
			client->options.on_answer(client->options.arg, answer);
	}
}

static enum err take_each(
	struct discovery_client *client, const Handfast__V1__KeptDestinations *kept, bool for_good, struct why *why)
{
	struct discovery_down *down = mem_new(struct discovery_down);
	enum err err = ERR_NONE;
	/* The last answer first, so that the order of use is the same; the mesh state is the first of all. */
	for (size_t i = 0; i < kept->n_messages && err == ERR_NONE; i++) {
		size_t at = i == 0 ? 0 : kept->n_messages - i;
		err = discovery_down_parse(pb_span(kept->messages[at]), &client->options.own_domain, down, why);
		if (err != ERR_NONE)
			break;
		if ((at == 0) != (down->kind == DISCOVERY_DOWN_MESH))
			err = why_set(why, ERR_MALFORMED, "the mesh state, then answers",
				"none: it is written again as soon as there is a control plane",
				"the kept messages are in another order");
		else if (for_good)
			take(client, pb_span(kept->messages[at]), down);
		discovery_down_done(down);
	}
	mem_free(down);
	return err;
}

enum err discovery_client_take_kept(
	struct discovery_client *client, struct span bytes, struct span id, int64_t now_s, struct why *why)
{
	static const char fix[] = "none: they are written again as soon as there is a control plane";
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *read;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__kept_destinations__descriptor, bytes, &arena, &read, why));
	const Handfast__V1__KeptDestinations *kept = (const Handfast__V1__KeptDestinations *)(const void *)read;
	if (!span_eq(pb_span(kept->id), id))
		return why_set(why, ERR_WRONG_PEER, "destinations of this sidecar's identity", fix,
			"the kept destinations and policy are of another identity");
	if (now_s >= kept->not_after_s)
		return why_set(why, ERR_EXPIRED, "destinations that are as old as the SVID at most", fix,
			"the SVID that the kept destinations were for has expired");
	RETURN_IF_ERR(take_each(client, kept, false, why));
	return take_each(client, kept, true, why);
}
