#include "control/distribute/distribute.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/distribute/encode.h"
#include <stdio.h>

enum {
	SUBSCRIPTIONS_MAX = 65536, /* a stream: memory that a sidecar may take here */
	COALESCE_MS = 20,          /* changes within this time go out together */
	RETRY_MS = 200,            /* after a reader was too slow */
	MESSAGE_MAX = 4 * 1024 * 1024,
};

struct subscription {
	struct subscription *next; /* in its bucket */
	struct addr destination;
	uint64_t sent; /* hash of the answer that was sent, its version left out; 0: none yet */
};

enum { BUCKETS = 256 };

struct stream {
	struct stream *next, **prev;
	struct distributor *distributor;
	struct rpc_call *call;
	struct spiffe_id id;
	struct subscription *subscriptions[BUCKETS];
	unsigned num_subscriptions;
	uint64_t mesh_sent; /* version */
	bool has_hello;
	bool is_behind; /* its queue was full: what it missed comes later */
};

struct distributor {
	struct loop *loop;
	struct registry *registry;
	const struct control_config *config;
	struct stream *streams;
	unsigned num_streams;
	uint64_t mesh_version, answer_version;
	struct loop_timer push;
	bool has_changed; /* since the last push, for everybody */
	uint64_t seed;    /* nobody chooses destinations that share a bucket */
	struct buf message;
};

struct distributor *distributor_new(struct loop *loop, struct registry *registry, const struct control_config *config)
{
	struct distributor *distributor = mem_new(struct distributor);
	distributor->loop = loop;
	distributor->registry = registry;
	distributor->config = config;
	/* Versions grow across restarts, too: sidecars keep the highest they have seen. */
	distributor->mesh_version = distributor->answer_version = (uint64_t)loop_clock(loop)->wall_ms(loop_clock(loop))
								  << 16;
	distributor->seed = random_u64();
	buf_init(&distributor->message, MESSAGE_MAX);
	return distributor;
}

void distributor_free(struct distributor *distributor)
{
	CHECK(distributor->streams == NULL);
	loop_timer_stop(&distributor->push);
	buf_done(&distributor->message);
	mem_free(distributor);
}

unsigned distributor_num_streams(const struct distributor *distributor)
{
	return distributor->num_streams;
}

static struct subscription **subscription_slot(struct stream *stream, const struct addr *destination)
{
	struct subscription **slot =
		&stream->subscriptions[addr_hash(destination, stream->distributor->seed) % BUCKETS];
	while (*slot != NULL && !addr_eq(&(*slot)->destination, destination))
		slot = &(*slot)->next;
	return slot;
}

/* FNV-1a: tells a changed answer from the same one; nobody gains by a collision of their own answers. */
static uint64_t hash_of(struct span bytes)
{
	uint64_t hash = 14695981039346656037u;
	for (size_t i = 0; i < bytes.len; i++)
		hash = (hash ^ bytes.ptr[i]) * 1099511628211u;
	return hash == 0 ? 1 : hash;
}

static enum err answer_push(struct stream *stream, struct subscription *subscription)
{
	struct distributor *distributor = stream->distributor;
	struct resolution resolution;
	registry_resolve(distributor->registry, &subscription->destination, &resolution);
	buf_clear(&distributor->message);
	RETURN_IF_ERR(encode_answer(&subscription->destination, &resolution, 0, &distributor->message));
	uint64_t hash = hash_of(buf_span(&distributor->message));
	if (hash == subscription->sent)
		return ERR_NONE;
	buf_clear(&distributor->message);
	RETURN_IF_ERR(encode_answer(
		&subscription->destination, &resolution, ++distributor->answer_version, &distributor->message));
	RETURN_IF_ERR(rpc_call_send(stream->call, buf_span(&distributor->message)));
	subscription->sent = hash;
	return ERR_NONE;
}

static enum err mesh_push(struct stream *stream)
{
	struct distributor *distributor = stream->distributor;
	if (!stream->has_hello || stream->mesh_sent == distributor->mesh_version)
		return ERR_NONE;
	buf_clear(&distributor->message);
	RETURN_IF_ERR(
		encode_mesh_state(distributor->config, &stream->id, distributor->mesh_version, &distributor->message));
	RETURN_IF_ERR(rpc_call_send(stream->call, buf_span(&distributor->message)));
	stream->mesh_sent = distributor->mesh_version;
	return ERR_NONE;
}

static enum err stream_push(struct stream *stream)
{
	RETURN_IF_ERR(mesh_push(stream));
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct subscription *subscription = stream->subscriptions[i]; subscription != NULL;
			subscription = subscription->next)
			RETURN_IF_ERR(answer_push(stream, subscription));
	return ERR_NONE;
}

static void push_within(struct distributor *distributor, uint64_t ms);

/* Who is slow is tried again alone: the others' answers are not worked out anew for that. */
static void on_push(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, push);
	bool for_all = distributor->has_changed, again = false;
	distributor->has_changed = false;
	for (struct stream *stream = distributor->streams; stream != NULL; stream = stream->next) {
		if (for_all || stream->is_behind)
			stream->is_behind = stream_push(stream) == ERR_LIMIT;
		again |= stream->is_behind;
	}
	if (again)
		push_within(distributor, RETRY_MS);
}

static void push_within(struct distributor *distributor, uint64_t ms)
{
	if (!loop_timer_is_armed(&distributor->push))
		loop_timer_start(distributor->loop, &distributor->push, ms, on_push);
}

void distributor_registry_changed(struct distributor *distributor, const struct ip_addr *ip)
{
	(void)ip;
	distributor->has_changed = true;
	push_within(distributor, COALESCE_MS);
}

void distributor_set_config(struct distributor *distributor, const struct control_config *config)
{
	distributor->config = config;
	distributor->mesh_version++;
	distributor->has_changed = true;
	push_within(distributor, 0);
}

void distribute_start(struct distributor *distributor, struct rpc_call *call, const struct spiffe_id *id)
{
	struct stream *stream = mem_new(struct stream);
	stream->distributor = distributor;
	stream->call = call;
	spiffe_id_copy(id, &stream->id);
	stream->next = distributor->streams;
	stream->prev = &distributor->streams;
	if (stream->next != NULL)
		stream->next->prev = &stream->next;
	distributor->streams = stream;
	distributor->num_streams++;
	rpc_call_set_arg(call, stream);
}

static enum err subscribe(struct stream *stream, const struct addr *destination, struct why *why)
{
	struct subscription **slot = subscription_slot(stream, destination);
	if (*slot == NULL && stream->num_subscriptions >= SUBSCRIPTIONS_MAX)
		return why_set(why, ERR_LIMIT, "at most 65536 subscriptions a sidecar", "unsubscribe what is not used",
			"more");
	if (*slot == NULL) {
		*slot = mem_new(struct subscription);
		(*slot)->destination = *destination;
		stream->num_subscriptions++;
	}
	(*slot)->sent = 0; /* asked again: answered again */
	if (answer_push(stream, *slot) == ERR_LIMIT) {
		stream->is_behind = true;
		push_within(stream->distributor, RETRY_MS);
	}
	return ERR_NONE;
}

static void unsubscribe(struct stream *stream, const struct addr *destination)
{
	struct subscription **slot = subscription_slot(stream, destination), *gone = *slot;
	if (gone == NULL)
		return;
	*slot = gone->next;
	stream->num_subscriptions--;
	mem_free(gone);
}

static enum err up_take(struct stream *stream, const struct discovery_up *up, struct why *why)
{
	if (!stream->has_hello && up->kind != DISCOVERY_HELLO)
		return why_set(why, ERR_PROTOCOL, "hello first", "see the sender's release", "something else");
	switch (up->kind) {
	case DISCOVERY_HELLO:
		if (up->protocol_version != 1)
			return why_set(why, ERR_UNSUPPORTED, "protocol version 1", "use releases at most two apart",
				"version %u", up->protocol_version);
		stream->has_hello = true;
		return mesh_push(stream);
	case DISCOVERY_SUBSCRIBE:
		for (size_t i = 0; i < up->num_destinations; i++)
			RETURN_IF_ERR(subscribe(stream, &up->destinations[i], why));
		return ERR_NONE;
	case DISCOVERY_UNSUBSCRIBE:
		for (size_t i = 0; i < up->num_destinations; i++)
			unsubscribe(stream, &up->destinations[i]);
		return ERR_NONE;
	case DISCOVERY_ACK:
		if (up->refused_because[0] != '\0')
			log_warning("distribute", "%s refuses version %llu: %s", stream->id.text,
				(unsigned long long)up->version, up->refused_because);
		return ERR_NONE;
	}
	CHECK_UNREACHABLE();
}

void distribute_message(void *arg, struct rpc_call *call, struct span message)
{
	struct stream *stream = arg;
	struct discovery_up up = {0};
	struct why why = {0};
	char text[512];
	enum err err = discovery_up_parse(message, &up, &why);
	if (err == ERR_NONE)
		err = up_take(stream, &up, &why);
	discovery_up_done(&up);
	if (err == ERR_NONE)
		return;
	log_why(LOG_LEVEL_WARNING, "distribute", stream->id.text, &why);
	rpc_call_finish(call, err == ERR_LIMIT ? RPC_RESOURCE_EXHAUSTED : RPC_INVALID_ARGUMENT,
		why_format(&why, text, sizeof(text)), 0);
}

void distribute_half_close(void *arg, struct rpc_call *call)
{
	(void)arg;
	rpc_call_finish(call, RPC_OK, NULL, 0);
}

void distribute_done(void *arg, struct rpc_call *call)
{
	(void)call;
	struct stream *stream = arg;
	*stream->prev = stream->next;
	if (stream->next != NULL)
		stream->next->prev = stream->prev;
	stream->distributor->num_streams--;
	for (size_t i = 0; i < BUCKETS; i++)
		while (stream->subscriptions[i] != NULL)
			unsubscribe(stream, &stream->subscriptions[i]->destination);
	spiffe_id_done(&stream->id);
	mem_free(stream);
}
