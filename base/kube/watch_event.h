/* One line of a watch: {"type": ..., "object": ...} (Kubernetes: "Efficient detection of changes"). Pure. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include <jansson.h>
#include <stdint.h>

#define KUBE_VERSION_MAX 64 /* bytes of a resourceVersion; opaque, in practice a 64-bit number */

enum watch_event_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK, WATCH_ERROR };

struct watch_event { /* zeroed is valid to watch_event_done() */
	enum watch_event_type type;
	json_t *root;                   /* owned */
	const json_t *object;           /* of it */
	char version[KUBE_VERSION_MAX]; /* not of WATCH_ERROR */
	bool ends_initial_events;       /* a bookmark: the whole state has been sent */
	unsigned code;                  /* WATCH_ERROR: as of HTTP; 0: none */
	uint32_t retry_after_s;         /* WATCH_ERROR; 0: none */
	const char *message;            /* WATCH_ERROR; borrowed */
};

enum err watch_event_parse(struct span line, struct watch_event *out, struct why *why) _must_use_; /* ERR_MALFORMED */
void watch_event_done(struct watch_event *event);

/* Copies metadata.resourceVersion, of an object or a list. ERR_MALFORMED: there is none that can stand in a query. */
enum err kube_version_of(const json_t *object, char out[KUBE_VERSION_MAX]) _must_use_;
/* Whether one version is before the other; false where they are no numbers. */
bool kube_version_is_before(const char *one, const char *other);
