#include "cli/cluster/api.h"
#include "base/core/mem.h"
#include "base/json/json_put.h"
#include "base/json/json_read.h"
#include "base/kube/kube_status.h"
#include "cli/confine.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	PAGE_ITEMS = 200,
	PAGES_MAX = 2000,
	TIMEOUT_MS = 20000,
	CONTINUE_MAX = 2048,
	PATH_MAX_BYTES = 8192,
	BODY_MAX_BYTES = 64 * 1024
};
#define PAGE_MAX (64u * 1024 * 1024) /* 200 pods of 300 KB */

bool api_is_asked_for(const struct command_line *line)
{
	static const char *const flags[] = {"cluster", "kubeconfig", "control-namespace"};
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (command_line_value(line, flags[i]) != NULL)
			return true;
	return false;
}

/* NULL: there is none. */
static char *find_kubeconfig(const struct command_line *line)
{
	const char *given = command_line_value(line, "kubeconfig"), *home = getenv("HOME");
	if (given == NULL)
		given = getenv("KUBECONFIG");
	if (given != NULL && given[0] != '\0')
		return mem_strdup(given);
	if (home == NULL)
		return NULL;
	char *path = mem_printf("%s/.kube/config", home);
	if (access(path, R_OK) == 0)
		return path;
	mem_free(path);
	return NULL;
}

bool api_has_kubeconfig(const struct command_line *line)
{
	_cleanup_(mem_freep) char *path = find_kubeconfig(line);
	return path != NULL;
}

static enum err read_config(const struct command_line *line, struct kube_config *out, struct why *why)
{
	_cleanup_(mem_freep) char *path = find_kubeconfig(line);
	if (path == NULL && kube_config_in_cluster(NULL, out, why) == ERR_NONE)
		return ERR_NONE;
	if (path == NULL)
		return why_set(why, ERR_CONFIG, "--kubeconfig, KUBECONFIG, ~/.kube/config, or a pod of the cluster",
			"give --kubeconfig FILE", "no cluster is named");
	if (strchr(path, ':') != NULL)
		return why_set(why, ERR_CONFIG, "one kubeconfig",
			"write one with `kubectl config view --flatten` and give it as --kubeconfig",
			"KUBECONFIG names several files: %s", path);
	return line->is_for_completion ? kube_config_load(path, out, why)
				       : kube_config_load_with_plugin(path, out, why);
}

/* A confined process starts no plugin again. */
static enum err read_config_once(const struct command_line *line, const struct kube_config **out, struct why *why)
{
	static struct kube_config config;
	if (config.host == NULL) {
		enum err err = read_config(line, &config, why);
		if (err != ERR_NONE) {
			kube_config_done(&config);
			config = (struct kube_config){0};
			return err;
		}
	}
	*out = &config;
	confine();
	return ERR_NONE;
}

enum err api_open(const struct command_line *line, struct api *out, struct why *why)
{
	RETURN_IF_ERR(read_config_once(line, &out->config, why));
	out->loop = loop_new(&clock_system);
	out->client = kube_client_new(out->loop, out->config);
	return ERR_NONE;
}

void api_done(struct api *api)
{
	if (api->client != NULL)
		kube_client_free(api->client);
	if (api->loop != NULL)
		loop_free(api->loop);
	*api = (struct api){0};
}

/* --- one request --- */

struct exchange {
	struct api *api;
	const char *path, *verb;
	enum err err;
	json_t *answer;
	struct buf *text; /* takes the body as it is; NULL: an object is expected */
	struct why *detail;
};

/* By RBAC, or by admission, such as a quota or our own webhook. */
static enum err explain_forbidden(const struct exchange *exchange, const struct kube_response *response)
{
	_cleanup_(json_decrefp) json_t *status = json_read(response->body, NULL);
	const char *message = json_string_value(json_object_get(status, "message"));
	if (message != NULL && (strstr(message, " cannot ") == NULL || strstr(message, " resource ") == NULL))
		return why_set(exchange->detail, ERR_CONFLICT, "an object that the cluster admits",
			"find out what refuses it: PodSecurity, a quota or a webhook", "%s", message);
	return why_set(exchange->detail, ERR_DENIED, "an account that may read the cluster",
		"use an account with the role cluster-admin", "this account may not %s %.160s", exchange->verb,
		exchange->path);
}

static enum err explain(const struct exchange *exchange, const struct kube_response *response)
{
	if (response->status == 401)
		return why_set(exchange->detail, ERR_DENIED, "credentials that the API server accepts",
			"log in to the cluster again, or give another --kubeconfig",
			"the API server does not accept this kubeconfig's credentials");
	if (response->status == 403)
		return explain_forbidden(exchange, response);
	return kube_status_explain(response->status, response->body, exchange->path, exchange->verb, exchange->detail);
}

static void on_done(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct exchange *exchange = arg;
	loop_stop(exchange->api->loop);
	exchange->err = err;
	exchange->api->date_s = err == ERR_NONE ? response->date_s : 0;
	if (err != ERR_NONE) {
		if (why != NULL)
			*exchange->detail = *why;
		return;
	}
	if (exchange->text != NULL) {
		exchange->err = buf_append(exchange->text, response->body);
		return;
	}
	if (response->status / 100 != 2) {
		exchange->err = explain(exchange, response);
		return;
	}
	exchange->answer = json_read(response->body, NULL);
	if (!json_is_object(exchange->answer))
		exchange->err = why_set(exchange->detail, ERR_MALFORMED, "a JSON object from the API server",
			"check that --kubeconfig names an API server of Kubernetes",
			"the answer to %.160s is not a JSON object", exchange->path);
}

static enum err ask(
	struct api *api, const struct kube_request_options *options, const char *verb, json_t **out, struct why *why)
{
	_cleanup_(json_decrefp) json_t *answer = NULL;
	struct exchange exchange = {.api = api, .path = options->path, .verb = verb, .detail = why};
	(void)kube_request_start(api->client, options, on_done, &exchange);
	loop_run(api->loop);
	answer = exchange.answer;
	RETURN_IF_ERR(exchange.err);
	*out = TAKE_PTR(answer);
	return ERR_NONE;
}

enum err api_get(struct api *api, const char *path, json_t **out, struct why *why)
{
	const struct kube_request_options options = {
		.method = "GET", .path = path, .timeout_ms = TIMEOUT_MS, .response_max = PAGE_MAX};
	return ask(api, &options, "get", out, why);
}

enum err api_get_text(struct api *api, const char *path, struct buf *out, struct why *why)
{
	const struct kube_request_options options = {
		.method = "GET", .path = path, .accept = "*/*", .timeout_ms = TIMEOUT_MS, .response_max = out->max};
	struct exchange exchange = {.api = api, .path = path, .verb = "get", .text = out, .detail = why};
	(void)kube_request_start(api->client, &options, on_done, &exchange);
	loop_run(api->loop);
	return exchange.err;
}

enum err api_create(struct api *api, const char *path, const json_t *object, json_t **out, struct why *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(BODY_MAX_BYTES);
	if (buf_append_json(&text, object, JSON_COMPACT) != ERR_NONE)
		return why_set(why, ERR_TOO_LARGE, "an object of at most 64 KiB", "report this bug",
			"the request to %.160s is too large", path);
	const struct kube_request_options options = {
		.method = "POST", .path = path, .body = buf_span(&text), .timeout_ms = TIMEOUT_MS};
	return ask(api, &options, "create", out, why);
}

/* --- lists --- */

static bool is_unreserved(char c) /* RFC 3986 2.3 */
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;
}

/* The path of the page that `token` (NULL: the first) names. */
static enum err page_path(const char *path, const char *token, struct buf *out)
{
	buf_clear(out);
	RETURN_IF_ERR(buf_printf(out, "%s%climit=%d", path, strchr(path, '?') == NULL ? '?' : '&', PAGE_ITEMS));
	if (token == NULL)
		return ERR_NONE;
	RETURN_IF_ERR(buf_append_str(out, "&continue="));
	enum err err = ERR_NONE;
	for (const char *at = token; *at != '\0' && err == ERR_NONE; at++)
		err = is_unreserved(*at) ? buf_append(out, span_of(at, 1))
					 : buf_printf(out, "%%%02X", (unsigned char)*at);
	return err;
}

enum err api_list(struct api *api, const char *path, api_item_fn *on_item, void *arg, struct why *why)
{
	_cleanup_(buf_done) struct buf at = BUF_INIT(PATH_MAX_BYTES);
	RETURN_IF_ERR(page_path(path, NULL, &at));
	for (unsigned num = 0; num < PAGES_MAX; num++) {
		_cleanup_(json_decrefp) json_t *page = NULL;
		RETURN_IF_ERR(api_get(api, buf_cstr(&at), &page, why));
		const json_t *items = json_object_get(page, "items");
		for (size_t i = 0; i < json_array_size(items); i++)
			on_item(arg, json_array_get(items, i));
		const json_t *metadata = json_object_get(page, "metadata");
		const char *next = json_string_value(json_object_get(metadata, "continue"));
		if (next == NULL || next[0] == '\0')
			return ERR_NONE;
		if (strlen(next) > CONTINUE_MAX || page_path(path, next, &at) != ERR_NONE)
			return why_set(why, ERR_TOO_LARGE, "a token of at most 2,048 bytes for the next page",
				"report this bug",
				"the API server's list %.160s continues in a way that is not understood", path);
	}
	return why_set(why, ERR_TOO_LARGE, "a list of at most 400,000 items",
		"check that --kubeconfig names an API server of Kubernetes",
		"the API server's list %.160s has no end after %d pages", path, PAGES_MAX);
}
