/* Requests to a cluster's API server, one after another: each returns when its answer is there. For a command line
 * that has nothing else to do. */
#pragma once

#include "base/kube/kube_client.h"
#include "base/settings/command_line/command_line.h"
#include <jansson.h>

struct api { /* zeroed is valid to api_done() */
	struct loop *loop;
	const struct kube_config *config; /* the process's own; NULL: not open */
	struct kube_client *client;
	int64_t date_s; /* the clock of who gave the last answer, seconds since 1970; 0: not known */
};

bool api_is_asked_for(const struct command_line *line);   /* by --cluster, --kubeconfig or --control-namespace */
bool api_has_kubeconfig(const struct command_line *line); /* --kubeconfig, else $KUBECONFIG, else ~/.kube/config */
/* Of that file, or of the pod that this runs in. Connects with the first request. The file is read once per process,
 * and its credential plugin is run once; then the process is confined. */
enum err api_open(const struct command_line *line, struct api *out, struct why *why) _must_use_;
void api_done(struct api *api);

/* The caller releases *out. ERR_NOT_FOUND: there is no such object; ERR_DENIED: this account may not. */
enum err api_get(struct api *api, const char *path, json_t **out, struct why *why) _must_use_;
/* The body alone, of whatever status: what a pod answers through the API server's proxy. */
enum err api_get_text(struct api *api, const char *path, struct buf *out, struct why *why) _must_use_;
enum err api_create(struct api *api, const char *path, const json_t *object, json_t **out, struct why *why) _must_use_;
/* Each item of a list, read page by page. path has no query, or one that ends in a parameter. */
typedef void api_item_fn(void *arg, const json_t *item);
enum err api_list(struct api *api, const char *path, api_item_fn *on_item, void *arg, struct why *why) _must_use_;
