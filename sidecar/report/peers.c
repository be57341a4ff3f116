#include "sidecar/report/peers.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct peers {
	atomic_bool is_on;
	pthread_mutex_t lock;
	size_t num;
	uint32_t num_left_out;
	struct peer_seen seen[PEERS_MAX]; /* the most recent first */
};

struct peers *peers_new(void)
{
	struct peers *peers = mem_new(struct peers);
	CHECK(pthread_mutex_init(&peers->lock, NULL) == 0);
	return peers;
}

void peers_free(struct peers *peers)
{
	if (peers == NULL)
		return;
	CHECK(pthread_mutex_destroy(&peers->lock) == 0);
	mem_free(peers);
}

void peers_set_on(struct peers *peers, bool is_on)
{
	atomic_store_explicit(&peers->is_on, is_on, memory_order_relaxed);
}

/* An identity has many addresses; without one the address is all that is known. */
static bool is_same(const struct peer_seen *a, const struct peer_seen *b)
{
	bool same_peer = a->id[0] != '\0' || b->id[0] != '\0' ? strcmp(a->id, b->id) == 0
							      : ip_addr_eq(&a->address.ip, &b->address.ip);
	return same_peer && a->address.port == b->address.port && a->is_outbound == b->is_outbound &&
	       a->is_encrypted == b->is_encrypted && strcmp(a->reason, b->reason) == 0;
}

/* Any host can be one, from as many addresses as it likes. */
static bool is_stranger(const struct peer_seen *seen)
{
	return !seen->is_outbound && seen->id[0] == '\0';
}

/* The row of the same, else the one to replace. */
static size_t place_of(struct peers *peers, const struct peer_seen *now)
{
	size_t num_strangers = 0, last_stranger = 0;
	for (size_t i = 0; i < peers->num; i++) {
		if (is_same(&peers->seen[i], now))
			return i;
		if (is_stranger(&peers->seen[i])) {
			num_strangers++;
			last_stranger = i;
		}
	}
	size_t at = peers->num;
	if (is_stranger(now) && num_strangers >= PEERS_MAX / 2)
		at = last_stranger;
	else if (peers->num == PEERS_MAX)
		at = num_strangers > PEERS_MAX / 2 ? last_stranger : PEERS_MAX - 1;
	if (at == peers->num)
		peers->num++;
	else
		peers->num_left_out++;
	peers->seen[at].num = 0;
	return at;
}

static bool fill(const struct access_record *record, struct peer_seen *out)
{
	bool is_outbound = strcmp(record->direction, "outbound") == 0;
	const struct spiffe_id *id = is_outbound ? record->destination_id : record->source_id;
	*out = (struct peer_seen){.is_outbound = is_outbound,
		.is_encrypted = record->encrypted,
		.address = is_outbound ? record->destination : record->source,
		.reason = record->failed ? record->reason : ""};
	out->address.port = record->destination.port;
	if (record->failed && record->detail != NULL) {
		snprintf(out->detail, sizeof out->detail, "%.*s", (int)sizeof out->detail - 1, record->detail->got);
		snprintf(out->fix, sizeof out->fix, "%s", record->detail->fix);
	}
	if (id != NULL && id->text_len >= sizeof out->id)
		return false;
	if (id != NULL)
		memcpy(out->id, id->text, id->text_len);
	return out->address.ip.family != 0;
}

void peers_note(struct peers *peers, const struct access_record *record)
{
	struct peer_seen now;
	if (!atomic_load_explicit(&peers->is_on, memory_order_relaxed) || !fill(record, &now))
		return;
	CHECK(pthread_mutex_lock(&peers->lock) == 0);
	size_t at = place_of(peers, &now);
	now.num = peers->seen[at].num + 1;
	now.first_ms = now.num == 1 ? record->ended_wall_ms - (int64_t)record->duration_ms : peers->seen[at].first_ms;
	now.last_ms = record->ended_wall_ms;
	memmove(&peers->seen[1], &peers->seen[0], at * sizeof peers->seen[0]);
	peers->seen[0] = now;
	CHECK(pthread_mutex_unlock(&peers->lock) == 0);
}

size_t peers_copy(struct peers *peers, struct peer_seen out[PEERS_MAX], uint32_t *out_left_out)
{
	CHECK(pthread_mutex_lock(&peers->lock) == 0);
	size_t num = peers->num;
	memcpy(out, peers->seen, num * sizeof out[0]);
	*out_left_out = peers->num_left_out;
	CHECK(pthread_mutex_unlock(&peers->lock) == 0);
	return num;
}
