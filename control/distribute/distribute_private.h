/* The distributor's internals; only files of this folder include this.
 *
 * A topic is one subscribed destination, with its answer encoded once for all subscribers; a site holds the topics of
 * one address, since changes are per address. The work of a change waits in three queues (sites to resolve, topics to
 * send, streams to catch up) and is done in slices, one per round of the loop. */
#pragma once

#include "base/core/limited_log.h"
#include "base/core/list.h"
#include "base/core/shares.h"
#include "base/core/table.h"
#include "control/distribute/distribute.h"
#include "control/distribute/encode.h"

struct subscription {
	struct table_link link; /* in its stream */
	struct list_link of_topic;
	struct topic *topic;
	struct stream *stream;
	uint64_t sent; /* the content that was sent; 0: none yet */
	int64_t since_s;
	bool is_asked_again;
};

struct topic {
	struct table_link link;
	struct addr destination;
	struct site *site;
	struct list_link of_site;
	struct list subscriptions;
	unsigned num_subscriptions;
	uint64_t *endpoints; /* a hash of each, sorted by address; none while some drain */
	size_t num_endpoints;
	bool has_grown;   /* the last change added endpoints, and nothing else */
	bool is_cut;      /* see registry.h; logged when it begins */
	uint64_t content; /* grows with each change; 0: not resolved yet */
	uint64_t version; /* in the message; never less than content */
	uint8_t *message; /* DiscoveryDown, encoded: a prefix (encode_answers_prefix()), and the answer */
	size_t message_len, prefix_len;
	uint8_t digest[ANSWER_DIGEST_LEN]; /* of the answer */
	struct subscription *cursor;       /* the next to send to */
	struct list_link due;              /* in the queue */
};

struct site {
	struct table_link link;
	struct ip_addr ip;
	struct list topics;
	struct topic *cursor; /* the next to resolve */
	struct list_link due; /* in the queue */
};

struct stream {
	struct list_link link;
	struct distributor *distributor;
	struct rpc_call *call;
	struct spiffe_id id;
	struct ip_addr from;
	uint32_t zone_sent;
	struct share share; /* of the subscriptions and names */
	struct table subscriptions;
	/* Versions: what it is to get, was sent, and has confirmed. */
	uint64_t mesh_wanted, mesh_sent, mesh_confirmed;
	bool has_hello;
	struct name **services; /* that its listeners lead to */
	size_t num_services;
	uint64_t services_sent;     /* the newest version of their addresses */
	struct list_link of_naming; /* in the distributor's, if it has names */
	bool is_full;               /* its send queue was full: missing messages are sent after a pause */
	bool starts_over;           /* while it catches up, a change came behind the cursor */
	size_t cursor;              /* the next bucket to catch up */
	struct list_link due;       /* in the queue */
};

struct growth { /* growth.c */
	struct loop_timer sweep;
	unsigned num_left; /* streams of this sweep that wait for their turn; 0: none runs */
	bool is_due;       /* the next one, after this one */
	uint64_t began_ms, next_ms;
	int64_t sends; /* that may be sent at once; negative: a debt */
	uint64_t refilled_ms;
};

struct distributor {
	struct loop *loop;
	struct registry *registry;
	const struct control_config *config;
	struct list streams;
	unsigned num_streams;
	struct policy_source policies;         /* zeroed: none */
	uint64_t mesh_version, answer_version; /* of one sequence, so that a confirmation has one meaning */
	uint64_t num_marks;                    /* see distributor_policy_marks() */
	struct limited_log *lines;             /* for lines that sidecars can cause */
	struct shares *shares;                 /* of subscriptions and names, by identity */
	struct list naming;                    /* streams with names of services */
	struct list names;                     /* all different ones */
	struct table names_by_text;
	uint64_t names_changes;         /* after which an address may be another */
	uint64_t names_version;         /* grows with each address that is another */
	uint64_t names_compared;        /* with the streams, to this version */
	bool has_new_names;             /* for the next pass */
	struct name *next_name;         /* of the pass that is under way */
	struct stream *next_naming;     /* likewise, once all names are resolved */
	struct loop_timer naming_timer; /* the next pass, or the next slice of one */
	struct loop_timer zones;        /* of hosts, may have become known: the next pass, or slice of one */
	struct stream *next_zone;       /* of the pass that is under way */
	bool has_new_zones;             /* for the next pass */
	struct table topics, sites;     /* by destination, by address */
	struct list sites_due, topics_due, streams_due;
	struct loop_timer work, retry;
	struct loop_task catch_up;
	struct buf message, batch;
	struct growth growth;
	uint64_t spent;                     /* the cost of answers in bytes: bounds the length of a round of the loop */
	uint64_t at_once_ms, at_once_until; /* the round, and the value of spent at which its immediate answers end */
	struct distributor_counts counts;
};

/* topics.c */
struct topic *topic_take(struct distributor *distributor, const struct addr *destination); /* made if there is none */
void topic_drop_if_unused(struct distributor *distributor, struct topic *topic);
/* Resolves and encodes it. True: the answer has changed. */
bool topic_resolve(struct distributor *distributor, struct topic *topic);
/* The same answer with a new version, right after topic_resolve() returned false. */
void topic_renumber(struct distributor *distributor, struct topic *topic);
struct site *site_find(struct distributor *distributor, const struct ip_addr *ip); /* NULL: none */

/* answers.c: the answers to one stream, sent together. */
#define BATCH_ANSWERS 64
struct answer_batch { /* on the stack, zeroed but for the stream; one at a time */
	struct stream *stream;
	struct subscription *list[BATCH_ANSWERS];
	size_t num;
};
/* Adds the answer unless it was sent. ERR_LIMIT: what was added before could not be sent. */
enum err answer_batch_add(struct answer_batch *batch, struct subscription *subscription) _must_use_;
enum err answer_batch_send(struct answer_batch *batch) _must_use_;
bool answer_batch_has(const struct answer_batch *batch, const struct subscription *subscription);
/* One answer alone; nothing if it was sent. */
enum err stream_send_answer(struct subscription *subscription) _must_use_;
/* The sidecar has this answer already: true if nothing needs to be sent. */
bool subscription_is_known(struct subscription *subscription, const uint8_t digest[ANSWER_DIGEST_LEN]);

/* work.c */
void work_sites_due(struct distributor *distributor, const struct ip_addr *ip); /* NULL: all */
void work_topic_due(struct distributor *distributor, struct topic *topic);
void work_stream_due(struct stream *stream);
/* Whether this round of the loop may still answer at once; else the answer follows in a slice. */
bool work_may_answer_at_once(struct distributor *distributor);
/* A slow reader gets them later. */
void work_add(struct answer_batch *batch, struct subscription *subscription);
void work_send_batch(struct answer_batch *batch);
void work_stop_site(struct site *site);    /* before it is freed */
void work_stop_topic(struct topic *topic); /* before it is freed */
void work_stop_stream(struct stream *stream);
void work_pass_over(struct subscription *subscription); /* before it is freed */

/* growth.c: an answer that has only more endpoints than before can wait while very many do. */
/* Keeps the endpoints for the next comparison. Returns whether some were added, and nothing else was changed, of an
 * answer that had some. */
bool growth_note(struct topic *topic, const struct resolution *resolution, uint64_t seed);
void growth_due(struct distributor *distributor, struct topic *topic); /* after such a change */
void growth_turn_over(struct distributor *distributor);                /* of one stream that was due */
void growth_stop(struct distributor *distributor);

/* zones.c */
uint32_t zone_gather(struct stream *stream); /* to be sent now */
void zones_changed(struct distributor *distributor);
void zones_stop(struct stream *stream); /* while it is in the distributor's list */

/* named.c: services whose address a sidecar asked for by name. */
void named_take(struct stream *stream, char *const *services, size_t num); /* of its hello, once */
/* Those that there are now, for the mesh's state; kept as what was sent. */
size_t named_gather(struct stream *stream, struct named_service out[NAMED_SERVICES_MAX]);
void named_changed(struct distributor *distributor); /* addresses of services may have changed */
void named_stop(struct stream *stream);              /* it ends */

/* policies.c */
/* The stream is to have its mesh state again, of *version; 0: of a new one, which *version then is. */
void policies_renew(struct stream *stream, uint64_t *version);
enum err stream_send_mesh(struct stream *stream) _must_use_; /* nothing if it was sent, or is not known yet */
void stream_confirmed(struct stream *stream, uint64_t version);
