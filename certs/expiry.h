/* When certificates begin and end, as rows of metrics: one per certificate, which no table can have. Pure. */
#pragma once

#include "base/core/buf.h"
#include "base/core/metrics.h"
#include <stddef.h>

enum { LEAF_BACKDATE_S = 60 }; /* how much earlier than it is issued a leaf begins, for clocks that are slightly behind */

struct cert_expiry {              /* borrowed */
	const char *kind;         /* "svid", "intermediate", "root": a value of the label */
	const char *trust_domain; /* whose it is */
	struct span der;          /* one that cannot be parsed is left out */
};

/* Two families, in Prometheus' text format: the end of each, then the start. headings: their names and help. */
enum err cert_expiry_encode(const struct metric_row headings[2], const struct cert_expiry *rows, size_t num,
	struct buf *out) _must_use_; /* ERR_LIMIT */

/* A certificate with less than this left ends "within within_s". One that lives shorter than four times that is renewed
 * by itself, at half of its life at the earliest: with less than a quarter left its renewal is late. A life counts from
 * LEAF_BACKDATE_S after from_s, so that one of a few seconds is not late from its start. */
int64_t cert_expiry_margin_s(int64_t from_s, int64_t to_s, int64_t within_s);
