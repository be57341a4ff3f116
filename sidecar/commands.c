#include "sidecar/commands.h"

#include "base/core/clock.h"
#include "base/http/http_fetch.h"
#include "sidecar/admin_socket.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { PROBE_MS = 2000, PAUSE_MS = 25, ANSWER_MAX = 512, PAGE_MAX = 65536 };
/* A new process dials the control plane when it serves: a try takes a second where nothing answers. */
enum { SETTLE_MS = 3000 };

/* The status of a page of this machine's sidecar; 0: nothing answers. */
static unsigned fetch(uint16_t port, const char *path, struct buf *page, struct span *out_body)
{
	struct http_fetched fetched = {0};
	struct addr addr = {.port = port};
	if (ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &addr.ip) != ERR_NONE ||
		http_fetch(&addr, path, PROBE_MS, page, &fetched) != ERR_NONE)
		return 0;
	*out_body = fetched.body;
	return fetched.status;
}

/* `answer`: the first line of the page; "" when nothing answers. */
static bool is_ok(uint16_t port, const char *path, char *answer, size_t cap)
{
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	struct span body = {0};
	unsigned status = fetch(port, path, &page, &body);
	snprintf(answer, cap, "%.*s", (int)body.len, (const char *)body.ptr);
	answer[strcspn(answer, "\n")] = '\0';
	return status == 200;
}

/* --- conditions: what does not work yet --- */

/* It has not been dialed yet, or the process before still answers. */
static bool is_passing(struct span condition)
{
	return span_eq(condition, SPAN_LITERAL("degraded: control plane unreachable")) ||
	       span_eq(condition, SPAN_LITERAL("failed: draining"));
}

/* False: this may change in a moment. */
static bool put_condition(struct span condition, struct buf *out)
{
	static const char unreachable[] = "control plane unreachable";
	if (is_passing(condition))
		return false;
	if (buf_append(out, condition) == ERR_NONE) /* those that fit are enough */
		(void)!buf_append_str(out, "\n");
	return memmem(condition.ptr, condition.len, unreachable, sizeof(unreachable) - 1) == NULL;
}

/* One line per condition, of the page's lines: the first one is the result. False: some may change in a moment. */
static bool put_conditions(uint16_t port, struct buf *out)
{
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	struct span body = {0};
	bool is_settled = fetch(port, "/healthz/ready", &page, &body) != 0;
	for (bool is_first = true; body.len > 0; is_first = false) {
		const uint8_t *end = memchr(body.ptr, '\n', body.len);
		struct span line = span_of(body.ptr, end == NULL ? body.len : (size_t)(end - body.ptr));
		body = span_from(body, line.len + (end != NULL));
		if (!is_first && line.len > 0)
			is_settled &= put_condition(line, out);
	}
	return is_settled;
}

enum cli_exit command_upgraded(const struct command_line *line, const struct sidecar_config *config)
{
	uint64_t end_ms = clock_system.mono_ms(&clock_system) + SETTLE_MS;
	_cleanup_(buf_done) struct buf conditions = BUF_INIT(PAGE_MAX);
	while (!put_conditions(config->metrics_port, &conditions) && clock_system.mono_ms(&clock_system) < end_ms) {
		buf_clear(&conditions);
		(void)poll(NULL, 0, PAUSE_MS);
	}
	return command_line_answer_with(line, "upgraded: the new process serves", "conditions", buf_span(&conditions));
}

/* --- waiting --- */

static enum err not_ready(const char *answer, struct why *why)
{
	return why_set(why, ERR_REFUSED, "a sidecar that is ready within the timeout",
		"run `handfast check` and `handfast why`", "the sidecar is not ready: %s", answer);
}

static enum err no_answer(const struct sidecar_config *config, struct why *why)
{
	return why_set(why, ERR_REFUSED, "a sidecar that is ready within the timeout",
		"start it, or pass the port of its settings: --ports.metrics PORT, or --config FILE",
		"no sidecar answers at the metrics port, 127.0.0.1:%u", config->metrics_port);
}

enum cli_exit command_wait(const struct command_line *line, const struct sidecar_config *config, uint64_t timeout_ms)
{
	uint64_t end_ms = clock_system.mono_ms(&clock_system) + timeout_ms;
	char answer[ANSWER_MAX];
	struct why why = {0};
	static const struct {
		const char *flag, *path, *answer;
	} stages[] = {
		{"listening", "/healthz/listening", "listening"},
		{"started", "/healthz/started", "started"},
		{NULL, "/healthz/ready", "ready"},
	};
	size_t stage = 0;
	while (stages[stage].flag != NULL && !command_line_has(line, stages[stage].flag))
		stage++;
	while (!is_ok(config->metrics_port, stages[stage].path, answer, sizeof(answer))) {
		if (clock_system.mono_ms(&clock_system) >= end_ms) {
			return command_line_fail(
				line, answer[0] != '\0' ? not_ready(answer, &why) : no_answer(config, &why), &why);
		}
		(void)poll(NULL, 0, PAUSE_MS);
	}
	_cleanup_(buf_done) struct buf conditions = BUF_INIT(PAGE_MAX);
	(void)put_conditions(config->metrics_port, &conditions);
	return command_line_answer_with(line, stages[stage].answer, "conditions", buf_span(&conditions));
}

enum cli_exit command_send(const struct command_line *line, const struct sidecar_config *config)
{
	char answer[ANSWER_MAX];
	struct why why = {0};
	enum err err = admin_socket_send(config->admin_socket, line->command->words, answer, sizeof(answer), &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err == ERR_DENIED ? err : ERR_UNAVAILABLE, &why);
	return command_line_answer(line, answer);
}
