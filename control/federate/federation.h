/* Federation (SPIFFE Federation): this mesh's bundle endpoint, and the bundles of partners, which are fetched from
 * theirs and kept in the store. A partner's bundle is trusted for identities of its trust domain alone. What cannot be
 * used of a partner leaves what was there in force, and concerns no other partner. */
#pragma once

#include "base/core/metrics.h"
#include "control/config/config.h"
#include "control/federate/partner_record.h"
#include "control/issue/issuer.h"

#define FEDERATION_HINT_DEFAULT_S   300   /* of a bundle without a hint (SPIFFE Bundle 4.1.2) */
#define FEDERATION_HINT_MAX_S       86400 /* a partner must not put its next rotation off by a hint of years */
#define FEDERATION_FETCHES_PER_HINT 5     /* so that some may fail */

struct federation;

struct name_servers;

struct federation_options { /* borrowed */
	struct loop *loop;
	struct store *store;
	struct issuer *issuer;
	const struct control_config *config; /* of the start */
	struct metric_shard *metrics;
	const struct name_servers *name_servers; /* NULL: none were kept */
	int listening_fd;                        /* adopted; -1: no endpoint */
};
/* The partners of the settings; records of others are removed from the store. */
struct federation *federation_new(const struct federation_options *options);
void federation_free(struct federation *federation); /* before the issuer; the store is closed later */
void federation_set_partners(struct federation *federation, const struct control_config *config); /* a reload */
void federation_trust_changed(struct federation *federation, struct bundle_set *bundles);         /* it is durable */
void federation_root_replaced(struct federation *federation);                      /* another root signs */
void federation_scrape(const struct federation *federation);                       /* sets the gauges */
void federation_put_metrics(const struct federation *federation, struct buf *out); /* the rows per partner */
/* Appends a line "degraded: federation: ..." per partner in trouble. */
void federation_list_conditions(const struct federation *federation, struct buf *out);
/* What partners see: JSON; empty: not stored yet. */
struct span federation_own_page(const struct federation *federation);

struct federation_view { /* borrowed during the call */
	const struct config_partner *settings;
	const struct partner_record *record; /* NULL: none yet */
	int64_t success_s;                   /* the last fetch that did; 0: none since the start */
	uint64_t num_fetched, num_failed;
	uint32_t refresh_s;        /* the hint in force */
	const struct why *trouble; /* err ERR_NONE: none */
};
typedef void federation_view_fn(void *arg, const struct federation_view *view);
void federation_each(const struct federation *federation, federation_view_fn *each, void *arg);

/* Commands of an operator. ERR_NONE: on_done is called once, later. ERR_NOT_FOUND: no such partner; ERR_EXISTS: another
 * command is under way. */
typedef void federation_done_fn(void *arg, enum err err, const struct why *why);
/* Fetches now. any_sequence: an older one is accepted too: the partner started over. */
enum err federation_refresh(struct federation *federation, struct span trust_domain, bool any_sequence,
	federation_done_fn *on_done, void *arg, struct why *why) _must_use_;
/* Takes a bundle that the operator has, whatever its sequence. */
enum err federation_import(struct federation *federation, struct span trust_domain, struct span jwks,
	federation_done_fn *on_done, void *arg, struct why *why) _must_use_;
