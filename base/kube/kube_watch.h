/* A resource of the API server, kept up to date: its whole state, then each change (Kubernetes: "Efficient detection of
 * changes"). By WatchList where the server has it, else by a paged list and a watch. Belongs to its client's loop.
 *
 * What ends is resumed from the last version that was seen; where the server no longer has that version (410), or has
 * an older one than we saw (it was restored), the whole state is read again. Failures are tried again with full-jitter
 * backoff from 0.5 to 30 s; Retry-After is heeded. A 401 or 403 is no exception: a server that starts sends them until
 * it has read its roles.
 *
 * At most 5 ms of a round of the loop go into parsing, of all watches of a client together; what waits is bounded by
 * flow control. One object has at most SPLIT_OBJECT_MAX bytes. */
#pragma once

#include "base/kube/kube_client.h"
#include <jansson.h>

enum kube_event { KUBE_PUT, KUBE_DELETED };

/* A callback may stop any watch; it must not free the client. */
struct kube_watch_observer {
	/* The whole state follows: what has not been put when on_synced comes is gone. Comes again when it is read
	 * again, also before on_synced, if reading failed; until on_synced what was known before still holds. */
	void (*on_begin)(void *arg);
	/* KUBE_PUT: added or changed; the same object can come again. The object is borrowed; one of a list lacks kind
	 * and apiVersion. */
	void (*on_object)(void *arg, enum kube_event event, const json_t *object);
	void (*on_synced)(void *arg); /* after each on_begin, unless another follows */
	/* For a condition: why it is not up to date. Comes again when the reason changes; NULL: it is over. */
	void (*on_trouble)(void *arg, const struct why *why);
	void *arg;
};

struct kube_watch_options { /* copied */
	const char *path;   /* "/api/v1/pods" */
	const char *query;  /* more of the query, percent-encoded: "fieldSelector=metadata.name%3Dhandfast"; NULL */
};

struct kube_watch;
/* No callback within the call. */
struct kube_watch *kube_watch_start(struct kube_client *client, const struct kube_watch_options *options,
	const struct kube_watch_observer *observer);
/* The version (metadata.resourceVersion) up to which all has been delivered, in on_synced that of the whole state.
 * Empty: the whole state has not come yet. Borrowed until the next round of the loop. */
const char *kube_watch_version(const struct kube_watch *watch);
void kube_watch_stop(struct kube_watch *watch); /* no callback from now on; before kube_client_free() */
