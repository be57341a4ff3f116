#include "sidecar/commands.h"

#include "base/core/clock.h"
#include "base/http/http_fetch.h"
#include "sidecar/admin_socket.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { PROBE_MS = 2000, PAUSE_MS = 25, ANSWER_MAX = 512, PAGE_MAX = 65536 };

/* `answer`: the first line of the page; "" when nothing answers. */
static bool is_ok(uint16_t port, const char *path, char *answer, size_t cap)
{
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	struct http_fetched fetched = {0};
	struct addr addr = {.port = port};
	answer[0] = '\0';
	if (ip_addr_parse(SPAN_LITERAL("127.0.0.1"), &addr.ip) != ERR_NONE ||
		http_fetch(&addr, path, PROBE_MS, &page, &fetched) != ERR_NONE)
		return false;
	snprintf(answer, cap, "%.*s", (int)fetched.body.len, (const char *)fetched.body.ptr);
	answer[strcspn(answer, "\n")] = '\0';
	return fetched.status == 200;
}

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
	return command_line_answer(line, stages[stage].answer);
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
