/* One partner: fetches its bundle, judges it, stores it. Private to control/federate. */
#pragma once

#include "base/core/backoff.h"
#include "base/core/list.h"
#include "control/federate/federation.h"
#include "control/federate/https_get.h"

struct partner_saving;
struct partner {
	struct list_link link;
	struct loop *loop;
	struct store *store;
	uint32_t hint_min_s;
	struct config_partner settings; /* a copy */
	struct partner_record record;   /* as stored */
	bool has_record;
	uint64_t version; /* of the record; 0: none */
	struct web_peer peer;
	struct https_get *get;      /* NULL: none under way */
	struct bundle_set *anchors; /* https_spiffe: of the fetch under way, the partner's bundle alone */
	struct loop_timer next;
	struct backoff first; /* until there is a bundle */
	struct metric_shard *metrics;
	int64_t success_s;
	uint64_t num_fetched, num_failed;
	struct why trouble;
	struct partner_saving *saving; /* the change under way, which outlives the partner; NULL: none */
	bool takes_any_sequence;
	bool imports;                /* the command is an import */
	federation_done_fn *on_done; /* of the operator's command under way; NULL: none */
	void *done_arg;
	struct loop_task finish; /* of a command that ends at once */
	struct why result;
};

struct partner *partner_new(struct loop *loop, struct store *store, struct metric_shard *metrics, uint32_t hint_min_s,
	const struct name_servers *name_servers, const struct config_partner *settings);
void partner_free(struct partner *partner);
bool partner_has_settings(const struct partner *partner, const struct config_partner *settings);
void partner_record_changed(struct partner *partner); /* in the store */
uint32_t partner_refresh_s(const struct partner *partner);
void partner_on_next(struct loop_timer *next); /* fetches, unless a fetch is under way */
void partner_report(struct partner *partner, enum err err, const struct why *why); /* to the operator, if one waits */
/* What was fetched, or what the operator gives. ERR_CONFLICT: an older sequence; errors of the parser and of
 * bundle_new(). ERR_NONE: it is in force, or is being stored. */
enum err partner_take(struct partner *partner, struct span jwks, bool any_sequence, struct why *why) _must_use_;
