#include "base/tls/tls_session.h"
#include "test/herd/herd.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUMBER_MAX 1000000000000000ull

uint64_t herd_number(const char *text)
{
	uint64_t value = 0;
	for (; *text >= '0' && *text <= '9' && value < NUMBER_MAX; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return *text == 0 ? value : 0;
}

void herd_print(const struct herd *herd, const char *kind)
{
	printf("{\"%s\": true, \"ms\": %llu, \"seconds\": %.1f, \"num\": %u, \"svids\": %u, \"streams\": %u, "
	       "\"failed_tries\": %u, \"issued\": %u, \"back\": %u, \"answered\": %u}\n",
		kind, (unsigned long long)loop_now_ms(herd->loop),
		(double)(loop_now_ms(herd->loop) - herd->started_ms) / 1000, herd->num, herd->num_svids,
		herd->num_streams, herd->num_failed, herd->num_issued, moments_num(&herd->moments, MOMENT_BACK),
		moments_num(&herd->moments, MOMENT_ANSWERS));
	fflush(stdout);
}

static void report(struct herd *herd, enum moment kind)
{
	uint64_t hundredths[101];
	if (moments_num(&herd->moments, kind) < herd->num || herd->is_reported[kind])
		return;
	herd->is_reported[kind] = true;
	moments_hundredths(&herd->moments, kind, hundredths);
	printf("{\"event\": \"%s\", \"since_ms\": %llu, \"hundredths_ms\": [", moment_names[kind],
		(unsigned long long)herd->moments.kinds[kind].since_ms);
	for (size_t i = 0; i <= 100; i++)
		printf("%s%llu", i == 0 ? "" : ", ", (unsigned long long)hundredths[i]);
	printf("]}\n");
	fflush(stdout);
}

void herd_moment(struct herd *herd, enum moment kind, const struct member *member)
{
	moments_note(&herd->moments, kind, (unsigned)(member - herd->members), loop_now_ms(herd->loop));
	report(herd, kind);
}

static void since(struct herd *herd, const char *name, uint64_t since_ms)
{
	for (unsigned kind = 0; kind < MOMENTS_NUM; kind++)
		if (strcmp(name, moment_names[kind]) == 0) {
			herd->is_reported[kind] = false;
			moments_since(&herd->moments, (enum moment)kind, since_ms);
			report(herd, (enum moment)kind);
		}
}

static void cut(struct herd *herd, uint64_t num)
{
	for (uint64_t i = 0; i < num && i < herd->num; i++)
		if (herd->members[i].connection != NULL)
			(void)shutdown(tls_session_fd(rpc_client_tls(herd->members[i].connection)), SHUT_RDWR);
}

static void run_command(struct herd *herd, char *line)
{
	char *rest = line, *word = strsep(&rest, " "), *name = strsep(&rest, " ");
	if (strcmp(word, "since") == 0 && name != NULL && rest != NULL)
		since(herd, name, herd_number(rest));
	else if (strcmp(word, "cut") == 0 && name != NULL)
		cut(herd, herd_number(name));
	else if (strcmp(word, "quit") == 0)
		loop_stop(herd->loop);
	else if (strcmp(word, "show") == 0) {
		printf("{\"claims\": %u}\n", herd_num_claims(herd));
		herd_print(herd, "shown");
	} else
		fprintf(stderr, "herd: no such command: %s\n", word);
}

static void on_input(struct loop_io *io, _unused_ unsigned ready)
{
	struct herd *herd = container_of(io, struct herd, input);
	char letter;
	ssize_t num;
	while ((num = read(STDIN_FILENO, &letter, 1)) == 1) {
		if (letter != '\n') {
			if (herd->command_len < sizeof herd->command - 1)
				herd->command[herd->command_len++] = letter;
			continue;
		}
		herd->command[herd->command_len] = 0;
		herd->command_len = 0;
		run_command(herd, herd->command);
	}
	if (num == 0) { /* the other end has gone */
		loop_io_stop(&herd->input);
		loop_stop(herd->loop);
	}
}

void herd_commands_start(struct herd *herd)
{
	if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) == 0)
		loop_io_start(herd->loop, &herd->input, STDIN_FILENO, LOOP_READ, on_input);
}
