/* A load and its far end, for measuring what stands between them.
 *
 *	load serve LISTEN                    echoes; a first byte 'd' asks for the 8-byte length that follows of bytes
 *	load new   TO NUMBER AT_ONCE [PID..] connections of one 64-byte round trip each
 *	load ask   TO SECONDS AT_ONCE [PID..] 64-byte round trips on connections that stay
 *	load bulk  TO MEGABYTES AT_ONCE [PID..] downloads, in all
 *	load hold  TO NUMBER SECONDS [PID..] idle connections; resident memory before and after
 *
 * PID: processes whose CPU time is told with the result.
 */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_LEN = 64, BLOCK_LEN = 256 * 1024, LATENCIES_MAX = 4 * 1024 * 1024 };

static uint8_t block[BLOCK_LEN];

/* --- serving --- */

struct served {
	struct loop_io io;
	int fd;
	bool has_begun, is_download;
	uint64_t left;
};

static void served_free(struct served *served)
{
	loop_io_stop(&served->io);
	fd_close(served->fd);
	mem_free(served);
}

static void serve_download(struct served *served)
{
	while (served->left > 0) {
		size_t len = served->left < BLOCK_LEN ? (size_t)served->left : BLOCK_LEN;
		ssize_t sent = send(served->fd, block, len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			loop_io_want(&served->io, LOOP_WRITE);
			return;
		}
		if (sent < 0) {
			served_free(served);
			return;
		}
		served->left -= (uint64_t)sent;
	}
	served_free(served);
}

static void on_served(struct loop_io *io, unsigned ready)
{
	struct served *served = container_of(io, struct served, io);
	if ((ready & LOOP_WRITE) != 0) {
		serve_download(served);
		return;
	}
	uint8_t bytes[4096];
	ssize_t len = recv(served->fd, bytes, sizeof(bytes), 0);
	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0) {
		served_free(served);
		return;
	}
	if (!served->has_begun && bytes[0] == 'd' && len >= 9) {
		memcpy(&served->left, bytes + 1, 8);
		serve_download(served);
		return;
	}
	served->has_begun = true;
	(void)!send(served->fd, bytes, (size_t)len, MSG_NOSIGNAL);
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	(void)peer;
	struct served *served = mem_new(struct served);
	served->fd = fd;
	socket_set_nodelay(fd);
	loop_io_start(arg, &served->io, fd, LOOP_READ, on_served);
}

static int serve(const struct addr *at)
{
	struct loop *loop = loop_new(&clock_system);
	int listening;
	CHECK(socket_listen(at, &(struct socket_listen_options){.backlog = 4096}, &listening, NULL) == ERR_NONE);
	(void)listener_new(loop, listening, on_accept, NULL, loop);
	loop_run(loop);
	return 0;
}

/* --- asking --- */

enum kind { KIND_NEW, KIND_ASK, KIND_BULK, KIND_HOLD };

struct client {
	struct loop *loop;
	struct addr to;
	enum kind kind;
	uint64_t number, begun, done, failed, bytes, per_download, end_ms;
	unsigned live;
	uint32_t *latencies;
	uint64_t num_latencies;
};

struct session {
	struct loop_io io;
	struct client *client;
	int fd;
	bool is_connected;
	size_t got;
	uint64_t since_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void begin(struct client *client);

static void note_latency(struct session *session)
{
	struct client *client = session->client;
	if (client->num_latencies < LATENCIES_MAX)
		client->latencies[client->num_latencies++] = (uint32_t)((now_ns() - session->since_ns) / 1000);
}

static void finish(struct session *session, bool good)
{
	struct client *client = session->client;
	loop_io_stop(&session->io);
	fd_close(session->fd);
	mem_free(session);
	client->live--;
	client->done += good ? 1 : 0;
	client->failed += good ? 0 : 1;
	if (client->begun < client->number)
		begin(client);
	else if (client->live == 0)
		loop_stop(client->loop);
}

static void ask(struct session *session)
{
	struct client *client = session->client;
	uint8_t message[MESSAGE_LEN] = {client->kind == KIND_BULK ? 'd' : 'e'};
	memcpy(message + 1, &client->per_download, 8);
	session->got = 0;
	if (client->kind == KIND_ASK)
		session->since_ns = now_ns();
	(void)!send(session->fd, message, sizeof(message), MSG_NOSIGNAL);
}

static void on_answer(struct session *session, size_t len)
{
	struct client *client = session->client;
	session->got += len;
	client->bytes += len;
	if (client->kind == KIND_BULK || session->got < MESSAGE_LEN)
		return;
	if (client->kind == KIND_HOLD)
		return;
	note_latency(session);
	if (client->kind == KIND_NEW) {
		finish(session, true);
		return;
	}
	client->done++;
	if (loop_now_ms(client->loop) < client->end_ms)
		ask(session);
	else
		finish(session, true);
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct session *session = container_of(io, struct session, io);
	if (!session->is_connected && (ready & LOOP_WRITE) != 0) {
		if (socket_connect_result(session->fd) != ERR_NONE) {
			finish(session, false);
			return;
		}
		session->is_connected = true;
		loop_io_want(io, LOOP_READ);
		ask(session);
		return;
	}
	ssize_t len = recv(session->fd, block, sizeof(block), 0);
	if (len < 0 && errno == EAGAIN)
		return;
	if (len > 0) {
		on_answer(session, (size_t)len);
		return;
	}
	finish(session, session->client->kind == KIND_BULK && session->got >= session->client->per_download);
}

static void begin(struct client *client)
{
	struct session *session = mem_new(struct session);
	session->client = client;
	session->since_ns = now_ns();
	client->begun++;
	client->live++;
	CHECK(socket_connect(&client->to, &(struct socket_connect_options){0}, &session->fd) == ERR_NONE);
	socket_set_nodelay(session->fd);
	loop_io_start(client->loop, &session->io, session->fd, LOOP_WRITE, on_ready);
}

/* --- telling --- */

static double cpu_s_of(const char *pid)
{
	char path[64], text[1024];
	(void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL || fgets(text, sizeof(text), file) == NULL)
		return 0;
	(void)fclose(file);
	const char *at = strrchr(text, ')');
	for (unsigned field = 0; at != NULL && field < 12; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return 0;
	char *end;
	double user = (double)strtoull(at, &end, 10), system = (double)strtoull(end, NULL, 10);
	return (user + system) / (double)sysconf(_SC_CLK_TCK);
}

static long resident_kb_of(const char *pid)
{
	char path[64];
	long size = 0, resident = 0;
	(void)snprintf(path, sizeof(path), "/proc/%s/statm", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	char text[128];
	if (fgets(text, sizeof(text), file) != NULL) {
		char *end;
		size = strtol(text, &end, 10);
		resident = strtol(end, NULL, 10);
	}
	(void)fclose(file);
	return size > 0 ? resident * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void tell(struct client *client, double seconds, double cpu_s)
{
	printf("%llu done, %llu failed, %.1f MB in %.2f s: %.0f a second", (unsigned long long)client->done,
		(unsigned long long)client->failed, (double)client->bytes / 1e6, seconds,
		(double)client->done / seconds);
	if (client->kind == KIND_BULK)
		printf("; %.0f MB/s, CPU %.2f s a GB", (double)client->bytes / 1e6 / seconds,
			cpu_s / ((double)client->bytes / 1e9));
	else if (client->done > 0)
		printf("; CPU %.1f us each", cpu_s * 1e6 / (double)client->done);
	if (client->num_latencies > 0) {
		qsort(client->latencies, client->num_latencies, sizeof(uint32_t), compare);
		printf("; p50 %u us, p99 %u us", client->latencies[client->num_latencies / 2],
			client->latencies[client->num_latencies * 99 / 100]);
	}
	printf("\n");
}

static void on_held(struct loop_timer *timer)
{
	loop_stop(timer->loop);
}

static int load(struct client *client, unsigned at_once, unsigned hold_s, char **pids, int num_pids)
{
	double cpu_s = 0;
	long kb = 0;
	for (int i = 0; i < num_pids; i++) {
		cpu_s -= cpu_s_of(pids[i]);
		kb -= resident_kb_of(pids[i]);
	}
	uint64_t since = now_ns();
	for (unsigned i = 0; i < at_once; i++)
		begin(client);
	struct loop_timer held = {.loop = NULL};
	if (client->kind == KIND_HOLD)
		loop_timer_start(client->loop, &held, (uint64_t)hold_s * 1000, on_held);
	loop_run(client->loop);
	double seconds = (double)(now_ns() - since) / 1e9;
	for (int i = 0; i < num_pids; i++) {
		cpu_s += cpu_s_of(pids[i]);
		kb += resident_kb_of(pids[i]);
	}
	tell(client, seconds, cpu_s);
	if (client->kind == KIND_HOLD)
		printf("%u held, %ld KB more: %.2f KB each\n", client->live, kb, (double)kb / client->live);
	return 0;
}

static int run_client(const char *kind, const struct addr *to, char **argv, int argc)
{
	uint64_t first = strtoull(argv[0], NULL, 10);
	unsigned second = (unsigned)strtoul(argv[1], NULL, 10);
	struct client client = {.loop = loop_new(&clock_system), .to = *to, .number = first};
	client.latencies = mem_alloc(LATENCIES_MAX * sizeof(uint32_t));
	unsigned at_once = second;
	if (strcmp(kind, "new") == 0) {
		client.kind = KIND_NEW;
	} else if (strcmp(kind, "ask") == 0) {
		client.kind = KIND_ASK;
		client.number = at_once;
		client.end_ms = loop_now_ms(client.loop) + first * 1000;
	} else if (strcmp(kind, "bulk") == 0) {
		client.kind = KIND_BULK;
		client.number = at_once;
		client.per_download = first * 1000000 / at_once;
	} else {
		client.kind = KIND_HOLD;
		at_once = (unsigned)first;
	}
	return load(&client, at_once, second, argv + 2, argc - 2);
}

int main(int argc, char **argv)
{
	struct addr at;
	if (argc < 3 || addr_parse(span_of_str(argv[2]), &at) != ERR_NONE) {
		(void)fputs("usage: load serve LISTEN | new|ask|bulk|hold TO A B [PID..]\n", stderr);
		return 64;
	}
	if (strcmp(argv[1], "serve") == 0)
		return serve(&at);
	return argc < 5 ? 64 : run_client(argv[1], &at, argv + 3, argc - 3);
}
