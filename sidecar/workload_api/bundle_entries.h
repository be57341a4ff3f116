/* The map of the Workload API from trust domains to bundles: roots or JWK sets. The generated code is used only in
 * bundle_entries.c and by its users. */
#pragma once

#include "certs/bundle.h"

#define BUNDLE_ENTRY_MAX (1024u * 1024) /* bytes of one bundle */

struct Handfast__Workload__BundleEntry;

struct bundle_entries { /* zeroed is valid to bundle_entries_done() */
	size_t num;
	struct bundle_entry *all;
	struct Handfast__Workload__BundleEntry **pointers; /* for the message; valid until bundle_entries_done() */
};
/* Appends the value of one entry. */
typedef enum err bundle_value_fn(const struct bundle_set *bundles, const struct bundle *bundle, struct buf *out);
/* All but the bundle of `but` (may be NULL). ERR_LIMIT: a bundle does not fit; *out has to be released all the same. */
enum err bundle_entries_make(const struct bundle_set *bundles, const struct bundle *but, bundle_value_fn *put_value,
	struct bundle_entries *out) _must_use_;
void bundle_entries_done(struct bundle_entries *entries);
