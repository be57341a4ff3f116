#include "base/rpc/test_rpc_raw.h"
#include "base/core/check.h"
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void keep(char *out, size_t size, struct span value)
{
	if (value.ptr != NULL)
		(void)snprintf(out, size, "%.*s", (int)value.len, (const char *)value.ptr);
}

static void on_headers(void *arg, _unused_ int32_t id, _unused_ void *stream, const struct h2_header *headers,
	size_t num_headers, _unused_ bool end_stream)
{
	struct raw_client *client = arg;
	keep(client->http_status, sizeof(client->http_status), h2_headers_find(headers, num_headers, ":status"));
	keep(client->grpc_status, sizeof(client->grpc_status), h2_headers_find(headers, num_headers, "grpc-status"));
	keep(client->allow, sizeof(client->allow), h2_headers_find(headers, num_headers, "allow"));
	keep(client->accept_encoding, sizeof(client->accept_encoding),
		h2_headers_find(headers, num_headers, "grpc-accept-encoding"));
}

static void on_data(void *arg, int32_t id, _unused_ void *stream, struct span bytes)
{
	h2_stream_consumed(((struct raw_client *)arg)->h2, id, bytes.len);
}

static void on_end(_unused_ void *arg, _unused_ int32_t id, _unused_ void *stream)
{
}

static void on_close(void *arg, _unused_ int32_t id, _unused_ void *stream, uint32_t error)
{
	struct raw_client *client = arg;
	client->is_closed = true;
	client->error = error;
}

static enum io_result pull(void *arg, _unused_ void *stream, uint8_t *to, size_t cap, size_t *out_len)
{
	struct raw_client *client = arg;
	size_t left = client->body.len - client->sent;
	size_t len = left < client->piece ? left : client->piece;
	CHECK(len <= cap);
	if (len > 0)
		memcpy(to, client->body.ptr + client->sent, len);
	client->sent += len;
	*out_len = len;
	if (client->sent == client->body.len)
		return client->ends ? IO_EOF : (len > 0 ? IO_DONE : IO_WANT_READ);
	return IO_DONE;
}

static void on_goaway(void *arg, _unused_ int32_t last, _unused_ uint32_t error)
{
	((struct raw_client *)arg)->num_goaways++;
}

static void on_output_ready(_unused_ void *arg)
{
}

void raw_open(struct test_rpc *test, struct raw_client *client)
{
	*client = (struct raw_client){.fd = test_rpc_raw(test), .piece = 1, .ends = true};
	const struct h2_session_options options = {.role = H2_CLIENT,
		.callbacks = {.on_headers = on_headers,
			.on_data = on_data,
			.on_end = on_end,
			.on_close = on_close,
			.pull = pull,
			.on_goaway = on_goaway,
			.on_output_ready = on_output_ready},
		.arg = client};
	CHECK(h2_session_new(&options, &client->h2) == ERR_NONE);
}

void raw_close(struct raw_client *client)
{
	h2_session_free(client->h2);
	close(client->fd);
}

void raw_run(struct test_rpc *test, struct raw_client *client)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(100000);
	uint8_t in[20000];
	for (int i = 0; i < 20; i++) {
		CHECK(h2_session_produce(client->h2, &out) == IO_DONE);
		if (buf_len(&out) > 0)
			CHECK(write(client->fd, buf_span(&out).ptr, buf_len(&out)) == (ssize_t)buf_len(&out));
		buf_consume(&out, buf_len(&out));
		loop_run_once(test->loop, false);
		loop_run_once(test->loop, false);
		ssize_t len = client->is_deaf ? 0 : recv(client->fd, in, sizeof(in), 0);
		if (len > 0)
			(void)!h2_session_feed(client->h2, span_of(in, (size_t)len), NULL);
	}
}

void raw_request(struct test_rpc *test, struct raw_client *client, struct request request, struct span body)
{
	struct h2_header headers[] = {
		{SPAN_LITERAL(":method"), span_of_str(request.method)},
		{SPAN_LITERAL(":scheme"), SPAN_LITERAL("http")},
		{SPAN_LITERAL(":path"), span_of_str(request.path)},
		{SPAN_LITERAL(":authority"), SPAN_LITERAL("test")},
		{SPAN_LITERAL("content-type"), span_of_str(request.content_type)},
		{SPAN_LITERAL("x"), SPAN_LITERAL("y")},
	};
	if (request.extra_name != NULL)
		headers[5] = (struct h2_header){span_of_str(request.extra_name), span_of_str(request.extra_value)};
	int32_t id;
	client->body = body;
	client->sent = 0;
	client->is_closed = false;
	client->http_status[0] = client->grpc_status[0] = '\0';
	CHECK(h2_stream_open(client->h2, headers, 6, false, client, &id) == ERR_NONE);
	h2_stream_ready(client->h2, id);
	raw_run(test, client);
}

void raw_expect(struct test_rpc *test, struct request request, struct span body, const char *http_status,
	const char *grpc_status)
{
	struct raw_client client;
	raw_open(test, &client);
	raw_request(test, &client, request, body);
	CHECK(strcmp(client.http_status, http_status) == 0);
	CHECK(strcmp(client.grpc_status, grpc_status) == 0);
	CHECK(client.is_closed);
	raw_close(&client);
	test_rpc_run(test);
}
