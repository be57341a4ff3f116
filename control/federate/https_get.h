/* Fetches one page of a partner by HTTPS (RFC 9112), on a connection of its own. Redirects are not followed: a partner
 * names no other host to this network. Belongs to one loop. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/web_dial.h"

struct https_get_options { /* borrowed until the end */
	struct loop *loop;
	const struct web_peer *peer;
	const char *path;    /* "/", with its query */
	uint32_t timeout_ms; /* for all of it: bounds a server that sends slowly */
	size_t body_max;     /* bytes: bounds one that sends without end */
};

/* err ERR_NONE: the body of a 200, borrowed during the call. Else the reason; ERR_UNSUPPORTED: another status. Called
 * once, not within https_get_start(); it may free the request. */
typedef void https_get_fn(void *arg, enum err err, struct span body, const struct why *why);

struct https_get;
struct https_get *https_get_start(const struct https_get_options *options, https_get_fn *on_done, void *arg);
void https_get_free(struct https_get *get); /* at any time; on_done is not called any more */
DEFINE_CLEANUP(struct https_get *, https_get_free)
