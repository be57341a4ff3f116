#include "sidecar/probe/probe.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/rpc/rpc_client.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST_MAX (2 * PROBE_TEXT_MAX + 1024)
#define STATUS_MAX  64 /* "HTTP/1.1 200 " is all that is needed of the answer */

struct probe {
	struct loop *loop;
	const struct probe_spec *spec;
	struct addr to;
	probe_done_fn *on_done;
	void *arg;
	int fd; /* -1: none, or adopted by the client */
	struct loop_io io;
	struct loop_timer deadline;
	struct loop_task end;
	bool is_connected;
	struct buf out;
	char in[STATUS_MAX];
	size_t in_len;
	struct rpc_client *client; /* grpc */
	bool is_serving;
	unsigned status; /* 0: none yet */
	char text[200];
};

static void end(struct loop_task *task)
{
	struct probe *probe = container_of(task, struct probe, end);
	probe_done_fn *on_done = probe->on_done;
	on_done(probe->arg, probe->status, probe->text);
	probe_free(probe);
}

static void finish(struct probe *probe, unsigned status, const char *format, ...) _printf_(3, 4);
static void finish(struct probe *probe, unsigned status, const char *format, ...)
{
	va_list args;
	if (probe->status != 0)
		return;
	va_start(args, format);
	(void)vsnprintf(probe->text, sizeof probe->text, format, args);
	va_end(args);
	probe->status = status;
	loop_timer_stop(&probe->deadline);
	loop_io_stop(&probe->io);
	loop_task_post(probe->loop, &probe->end, end);
}

static void on_deadline(struct loop_timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, deadline);
	finish(probe, 503, "the workload did not answer within %u s, the probe's timeout", probe->spec->timeout_s);
}

/* --- http --- */

/* "HTTP/1.1 204 No Content": the status, 0 while it is incomplete, 1 if it is no HTTP. */
static unsigned status_of(const char *line, size_t len)
{
	if (len < 12)
		return memcmp(line, "HTTP/1.", len < 7 ? len : 7) == 0 ? 0 : 1;
	if (memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
		return 1;
	uint64_t status;
	if (number_parse(span_of(line + 9, 3), 999, &status) != ERR_NONE || status < 100)
		return 1;
	return (unsigned)status;
}

static void judge_http(struct probe *probe, unsigned status)
{
	if (status == 1)
		finish(probe, 503, "the workload's answer is not HTTP");
	else if (status >= 200 && status < 400)
		finish(probe, 200, "the workload answered %u", status);
	else
		finish(probe, status >= 400 && status < 600 ? status : 503, "the workload answered %u", status);
}

static void read_status(struct probe *probe)
{
	ssize_t len = recv(probe->fd, probe->in + probe->in_len, sizeof probe->in - probe->in_len, 0);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		finish(probe, 503, "the workload closed the connection before its answer");
		return;
	}
	probe->in_len += (size_t)len;
	unsigned status = status_of(probe->in, probe->in_len);
	if (status != 0)
		judge_http(probe, status);
}

static void write_request(struct probe *probe)
{
	struct span left = buf_span(&probe->out);
	ssize_t len = send(probe->fd, left.ptr, left.len, MSG_NOSIGNAL);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len < 0) {
		finish(probe, 503, "the workload closed the connection: %s", strerror(errno));
		return;
	}
	buf_consume(&probe->out, (size_t)len);
	if (buf_len(&probe->out) == 0)
		loop_io_set_interest(&probe->io, LOOP_READ);
}

static void start_http(struct probe *probe)
{
	char authority[ADDR_TEXT_MAX];
	buf_init(&probe->out, REQUEST_MAX);
	if (probe_spec_request(probe->spec, addr_format(&probe->to, authority), &probe->out) != ERR_NONE)
		finish(probe, 503, "the probe's request is too long");
}

/* --- grpc: grpc.health.v1.Health/Check --- */

/* HealthCheckResponse: field 1, an enum; 1 is SERVING. */
static void on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct probe *probe = arg;
	probe->is_serving = message.len == 2 && message.ptr[0] == 0x08 && message.ptr[1] == 1;
}

static void on_call_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct probe *probe = arg;
	if (status != RPC_OK)
		finish(probe, 503, "the workload's health service answered %s: %.100s", rpc_status_name(status),
			message == NULL ? "" : message);
	else if (probe->is_serving)
		finish(probe, 200, "the workload is serving");
	else
		finish(probe, 503, "the workload reports that it is not serving");
}

static void on_client_close(void *arg, _unused_ struct rpc_client *client, const struct why *why)
{
	finish(arg, 503, "%.150s", why->got);
}

/* Seven bits per byte, the lowest first; all but the last byte have the highest bit. */
static enum err put_varint(struct buf *out, size_t value)
{
	for (; value > 0x7f; value >>= 7)
		RETURN_IF_ERR(buf_append(out, span_of(&(uint8_t){(uint8_t)(value | 0x80)}, 1)));
	return buf_append(out, span_of(&(uint8_t){(uint8_t)value}, 1));
}

/* HealthCheckRequest: field 1, the service's name. */
static enum err check(struct probe *probe)
{
	static const struct rpc_call_handlers handlers = {on_message, on_call_done};
	_cleanup_(buf_done) struct buf message = BUF_INIT(PROBE_TEXT_MAX);
	const char *service = probe->spec->service == NULL ? "" : probe->spec->service;
	struct rpc_call *call;
	if (service[0] != '\0') {
		RETURN_IF_ERR(buf_append(&message, SPAN_LITERAL("\x0a")));
		RETURN_IF_ERR(put_varint(&message, strlen(service)));
		RETURN_IF_ERR(buf_append_str(&message, service));
	}
	RETURN_IF_ERR(rpc_client_call(
		probe->client, "/grpc.health.v1.Health/Check", probe_timeout_ms(probe->spec), &handlers, probe, &call));
	RETURN_IF_ERR(rpc_call_send(call, buf_span(&message)));
	rpc_call_close_send(call);
	return ERR_NONE;
}

static void on_client_ready(void *arg, _unused_ struct rpc_client *client)
{
	struct probe *probe = arg;
	enum err err = check(probe);
	if (err != ERR_NONE)
		finish(probe, 503, "the health call cannot be made: %s", err_text(err));
}

static void start_grpc(struct probe *probe)
{
	char authority[ADDR_TEXT_MAX];
	loop_io_stop(&probe->io);
	const struct rpc_client_options options = {.loop = probe->loop,
		.transport = transport_new_plain(TAKE_FD(probe->fd)),
		.authority = addr_format(&probe->to, authority),
		.on_ready = on_client_ready,
		.on_close = on_client_close,
		.arg = probe};
	probe->client = rpc_client_new(&options);
}

/* --- all kinds --- */

static void on_connected(struct probe *probe)
{
	enum err err = socket_connect_result(probe->fd);
	probe->is_connected = true;
	if (err != ERR_NONE)
		finish(probe, 503, "cannot connect to port %u of the workload: %s", probe->to.port, err_text(err));
	else if (probe->spec->kind == PROBE_TCP)
		finish(probe, 200, "port %u accepts connections", probe->to.port);
	else if (probe->spec->kind == PROBE_GRPC)
		start_grpc(probe);
	else
		start_http(probe);
}

static void on_ready(struct loop_io *io, _unused_ unsigned ready)
{
	struct probe *probe = container_of(io, struct probe, io);
	if (!probe->is_connected)
		on_connected(probe);
	else if (buf_len(&probe->out) > 0)
		write_request(probe);
	else
		read_status(probe);
}

uint32_t probe_timeout_ms(const struct probe_spec *spec)
{
	CHECK(spec->timeout_s >= 1 && spec->timeout_s <= PROBE_TIMEOUT_MAX_S);
	return spec->timeout_s * 1000 - PROBE_MARGIN_MS;
}

struct probe *probe_start(
	struct loop *loop, const struct probe_spec *spec, const struct ip_addr *ip, probe_done_fn *on_done, void *arg)
{
	struct probe *probe = mem_new(struct probe);
	const struct socket_connect_options options = {.is_near = true};
	*probe = (struct probe){.loop = loop,
		.spec = spec,
		.to = {.ip = *ip, .port = spec->port},
		.on_done = on_done,
		.arg = arg,
		.fd = -1};
	loop_timer_start(loop, &probe->deadline, probe_timeout_ms(spec), on_deadline);
	enum err err = socket_connect(&probe->to, &options, &probe->fd);
	if (err != ERR_NONE)
		finish(probe, 503, "cannot connect to port %u of the workload: %s", spec->port, err_text(err));
	else
		loop_io_start(loop, &probe->io, probe->fd, LOOP_WRITE, on_ready);
	return probe;
}

void probe_free(struct probe *probe)
{
	loop_timer_stop(&probe->deadline);
	loop_io_stop(&probe->io);
	loop_task_cancel(&probe->end);
	if (probe->client != NULL)
		rpc_client_free(probe->client);
	fd_close(probe->fd);
	buf_done(&probe->out);
	mem_free(probe);
}
