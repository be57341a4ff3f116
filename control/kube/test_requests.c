#include "control/kube/test_requests.h"
#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/mem.h"

enum { EVER_MAX = 64 };

struct kube_request {
	struct list_link link;
	struct kube_client *client;
	char *path, *accept, *body;
	kube_done_fn *on_done;
	void *arg;
};

struct kube_client {
	struct list requests;
	char *ever[EVER_MAX];
	unsigned num_ever;
};

struct kube_client *test_client_new(void)
{
	return mem_new(struct kube_client);
}

void test_client_free(struct kube_client *client)
{
	CHECK(list_is_empty(&client->requests));
	for (unsigned i = 0; i < client->num_ever; i++)
		mem_free(client->ever[i]);
	mem_free(client);
}

struct kube_request *kube_request_start(
	struct kube_client *client, const struct kube_request_options *options, kube_done_fn *on_done, void *arg)
{
	struct kube_request *request = mem_new(struct kube_request);
	CHECK(client->num_ever < EVER_MAX && options->timeout_ms > 0 && options->response_max > 0);
	*request = (struct kube_request){.client = client,
		.path = mem_strdup(options->path),
		.accept = mem_strdup(options->accept == NULL ? "application/json" : options->accept),
		.body = mem_printf("%.*s", (int)options->body.len, (const char *)options->body.ptr),
		.on_done = on_done,
		.arg = arg};
	list_push_back(&client->requests, &request->link);
	client->ever[client->num_ever++] = mem_strdup(options->path);
	return request;
}

void kube_request_cancel(struct kube_request *request)
{
	list_remove(&request->link);
	mem_free(request->path);
	mem_free(request->accept);
	mem_free(request->body);
	mem_free(request);
}

static struct kube_request *oldest(const struct kube_client *client, const char *path)
{
	LIST_EACH(&client->requests, struct kube_request, request, link)
		if (strcmp(request->path, path) == 0)
			return request;
	return NULL;
}

unsigned test_client_num(const struct kube_client *client, const char *path)
{
	unsigned num = 0;
	LIST_EACH(&client->requests, struct kube_request, request, link)
		num += strcmp(request->path, path) == 0;
	return num;
}

unsigned test_client_num_ever(const struct kube_client *client, const char *path)
{
	unsigned num = 0;
	for (unsigned i = 0; i < client->num_ever; i++)
		num += strcmp(client->ever[i], path) == 0;
	return num;
}

const char *test_client_accept(const struct kube_client *client, const char *path)
{
	return oldest(client, path)->accept;
}

const char *test_client_body(const struct kube_client *client, const char *path)
{
	return oldest(client, path)->body;
}

static void finish(struct kube_client *client, const char *path, enum err err, const struct kube_response *response,
	const struct why *why)
{
	struct kube_request *request = oldest(client, path);
	CHECK(request != NULL);
	kube_done_fn *on_done = request->on_done;
	void *arg = request->arg;
	kube_request_cancel(request);
	on_done(arg, err, response, why);
}

void test_client_answer(struct kube_client *client, const char *path, unsigned status, const char *body)
{
	const struct kube_response response = {.status = status, .body = span_of_str(body)};
	const struct why why = {0};
	finish(client, path, ERR_NONE, &response, &why);
}

void test_client_fail(struct kube_client *client, const char *path, enum err err)
{
	struct why why;
	(void)why_set(&why, err, "an API server", "start it", "no API server");
	finish(client, path, err, NULL, &why);
}
