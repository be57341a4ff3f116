/* A queue whose sources have their turn one after the other: one with a thousand entries gets no more out per round
 * than one with a single entry. A source has up to two keys, the coarsest first (a /64, then an address): networks have
 * their turn, and within one its addresses. Entries of the finest key are served in the order in which they came.
 *
 * A key exists only while it has entries. Every call takes constant time. Pure. */
#pragma once

#include "base/core/list.h"
#include "base/core/share_key.h"

struct fair_queue;
struct fair_node;

struct fair_entry { /* embedded in its owner; zeroed is in no queue */
	struct list_link link;
	struct fair_node *node; /* NULL: in no queue */
};

struct fair_queue *fair_queue_new(uint64_t seed); /* random_u64(): peers choose addresses */
void fair_queue_free(struct fair_queue *queue);   /* it must be empty */
DEFINE_CLEANUP(struct fair_queue *, fair_queue_free)

void fair_queue_push(struct fair_queue *queue, const struct share_key *keys, size_t num_keys, struct fair_entry *entry);
/* Whose turn it is; it stays. NULL: the queue is empty. */
struct fair_entry *fair_queue_next(const struct fair_queue *queue);
/* It leaves the queue. Of the entry whose turn it is: its keys go behind the others. */
void fair_queue_remove(struct fair_queue *queue, struct fair_entry *entry);
/* Its keys go behind the others, and it stays: another one has its turn. */
void fair_queue_pass(struct fair_queue *queue, struct fair_entry *next);
unsigned fair_queue_len(const struct fair_queue *queue);
