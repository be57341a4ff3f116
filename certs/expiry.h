/* When certificates begin and end, as rows of metrics: one per certificate, which no table can have. Pure. */
#pragma once

#include "base/core/buf.h"
#include "base/core/metrics.h"
#include <stddef.h>

/* How much earlier than it is made a certificate begins: for clocks that are behind. */
enum {
	LEAF_BACKDATE_S = 60,
	INTERMEDIATE_BACKDATE_S = 3600, /* before any leaf below it, whose backdating it bounds */
	WEBHOOK_BACKDATE_S = 3600,      /* an API server's clock */
	/* A root cannot be replaced like an intermediate: one made while the clock was days ahead must be valid once
	 * the clock is right again. */
	ROOT_BACKDATE_S = 30 * 86400
};

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
 * when it was made, by the backdating of its kind, so that one of a few seconds is not late from its start. kind: as
 * struct cert_expiry has it; "server" and others that are not known are leaves. A root (its kind ends so) is replaced
 * by an operator: within_s. Nothing is done about a retired root, which nothing is issued below: INT64_MIN, no end of
 * it is "within". */
int64_t cert_expiry_margin_s(const char *kind, int64_t from_s, int64_t to_s, int64_t within_s);
