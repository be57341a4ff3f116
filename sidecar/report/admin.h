/* The two HTTP servers: the operator's read-only pages on 15000 (loopback), and metrics and probes on 15020. Each page
 * has a callback, which answers at once or later. */
#pragma once

#include "base/core/metrics.h"
#include "base/http/http_get.h"
#include <jansson.h>

#define ADMIN_PROBE_PATH "/probe/"
struct admin_pages {                                                                                  /* all are set */
	http_page_fn *certs, *config, *connections, *tunnels, *failures, *check, *policy, *endpoints; /* 15000 */
	http_page_fn *metrics, *ready, *started, *listening,
		*probe; /* 15020; admin.c answers live; probe: all below ADMIN_PROBE_PATH */
	void *arg;
};

struct admin_options {
	uint16_t admin_port, metrics_port; /* 15000, 15020 */
	bool ipv6;
	struct passed_sockets *passed; /* listening sockets that are taken where they fit; NULL: none */
	bool is_held;                  /* nothing is accepted until admin_start() */
};

struct admin;
enum err admin_new(struct loop *loop, const struct admin_options *options, const struct admin_pages *pages,
	struct admin **out, struct why *why) _must_use_;
enum err admin_start(struct admin *admin) _must_use_; /* where is_held, or after admin_hold(); the first failure */
void admin_hold(struct admin *admin);                 /* nothing is accepted until admin_start() */
void admin_stop_accepting(struct admin *admin);       /* open connections still get their pages */
/* Of the listening sockets, which stay the admin's: num of them at most. Returns how many. */
size_t admin_sockets(const struct admin *admin, int *out, size_t num);
void admin_free(struct admin *admin);
uint64_t admin_num_displaced(const struct admin *admin); /* connections that were closed to make room for others */

/* For the callbacks. */
void admin_answer_json(struct http_request *request, json_t *root); /* 200; adopts the reference */
void admin_answer_metrics(
	struct http_request *request, const struct metrics *metrics, struct span more); /* rows that follow */
void admin_answer_probe(struct http_request *request, bool is_ready, const char *text); /* 200 or 503 */
