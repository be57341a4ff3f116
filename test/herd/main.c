/* A herd: thousands of sidecars' identity clients in one process, which all enroll at the same moment, as after a cold
 * start or an outage that outlived every certificate. Each dials an address of its own, which is also its source, so
 * that the control plane sees as many hosts.
 *
 *     herd OPERATOR_SOCKET FOLDER FIRST_ADDRESS NUM SECONDS
 *
 * FIRST_ADDRESS and the NUM - 1 addresses after it must be on this machine's lo. One line of JSON per second, and one
 * at the end: how many have an SVID, how many have a stream, how many tries failed. Exit code 0: all of them, in time.
 */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/tls/tls_context.h"
#include "sidecar/identity/identity_client.h"
#include "test/herd/tokens.h"
#include <stdio.h>
#include <sys/stat.h>

#define STREAMS_PORT 15012
#define REPORT_MS    1000

struct herd;

struct member {
	struct herd *herd;
	struct state_folder *state;
	struct identity_client *client;
	char *address, *token_file;
	bool has_svid, has_stream;
};

struct herd {
	struct loop *loop;
	struct tls_context *context;
	struct member *members;
	unsigned num, num_svids, num_streams, num_failed;
	uint64_t started_ms, deadline_ms;
	struct loop_timer report;
};

static void print_line(const struct herd *herd, const char *kind)
{
	printf("{\"%s\": true, \"seconds\": %.1f, \"num\": %u, \"svids\": %u, \"streams\": %u, \"failed_tries\": %u}\n",
		kind, (double)(loop_now_ms(herd->loop) - herd->started_ms) / 1000, herd->num, herd->num_svids,
		herd->num_streams, herd->num_failed);
	fflush(stdout);
}

static void look(struct herd *herd)
{
	if (herd->num_svids == herd->num && herd->num_streams == herd->num)
		loop_stop(herd->loop);
}

static void on_credentials(void *arg, struct credentials *credentials)
{
	struct member *member = arg;
	if (credentials == NULL || member->has_svid)
		return;
	member->has_svid = true;
	member->herd->num_svids++;
	look(member->herd);
}

static void on_connection(void *arg, struct rpc_client *client)
{
	struct member *member = arg;
	if ((client != NULL) == member->has_stream)
		return;
	member->has_stream = client != NULL;
	if (client != NULL)
		member->herd->num_streams++;
	else
		member->herd->num_streams--;
	look(member->herd);
}

static void on_time(_unused_ void *arg, _unused_ const struct trusted_time *time)
{
}

static void on_event(void *arg, enum identity_event event, _unused_ const struct why *why)
{
	struct member *member = arg;
	member->herd->num_failed += event == IDENTITY_ATTEST_FAILED;
}

static void on_report(struct loop_timer *timer)
{
	struct herd *herd = container_of(timer, struct herd, report);
	print_line(herd, "running");
	if (loop_now_ms(herd->loop) >= herd->deadline_ms)
		loop_stop(herd->loop);
	else
		loop_timer_start(herd->loop, &herd->report, REPORT_MS, on_report);
}

static char *address_of(const struct ip_addr *first, unsigned number)
{
	uint32_t value = 0;
	for (size_t i = 0; i < 4; i++)
		value = value << 8 | first->bytes[i];
	value += number;
	return mem_printf(
		"%u.%u.%u.%u:%d", value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255, STREAMS_PORT);
}

static enum err member_make(
	struct herd *herd, unsigned number, const char *folder, const struct ip_addr *first, struct why *why)
{
	struct member *member = &herd->members[number];
	_cleanup_(mem_freep) char *state = mem_printf("%s/state-%u", folder, number);
	member->herd = herd;
	member->address = address_of(first, number);
	member->token_file = mem_printf("%s/%u", folder, number);
	RETURN_IF_ERR(state_folder_open(state, &member->state, why));
	struct identity_options options = {.loop = herd->loop,
		.context = herd->context,
		.state = member->state,
		.address = member->address,
		.token_file = member->token_file,
		.release = "herd",
		.on_credentials = on_credentials,
		.on_time = on_time,
		.on_connection = on_connection,
		.on_event = on_event,
		.arg = member};
	RETURN_IF_ERR(trust_domain_parse(SPAN_LITERAL("cluster.local"), &options.trust_domain, why));
	return identity_client_new(&options, &member->client, why);
}

static enum err herd_make(struct herd *herd, char **argv, struct why *why)
{
	struct ip_addr first;
	RETURN_IF_ERR(ip_addr_parse(span_of_str(argv[3]), &first));
	RETURN_IF_ERR(tokens_make(argv[1], argv[2], herd->num, why));
	for (unsigned i = 0; i < herd->num; i++)
		RETURN_IF_ERR(member_make(herd, i, argv[2], &first, why));
	return ERR_NONE;
}

static void herd_run(struct herd *herd, uint64_t seconds)
{
	loop_run_once(herd->loop, false);
	herd->started_ms = loop_now_ms(herd->loop);
	herd->deadline_ms = herd->started_ms + seconds * 1000;
	for (unsigned i = 0; i < herd->num; i++)
		identity_client_start(herd->members[i].client);
	loop_timer_start(herd->loop, &herd->report, REPORT_MS, on_report);
	loop_run(herd->loop);
	print_line(herd, "over");
}

/* 0: not a valid number. */
static unsigned count_of(const char *text)
{
	unsigned value = 0;
	for (; *text >= '0' && *text <= '9' && value < 100000; text++)
		value = value * 10 + (unsigned)(*text - '0');
	return *text == 0 ? value : 0;
}

int main(int argc, char **argv)
{
	static const struct tls_context_options tls = {.role = TLS_CLIENT, .alpn = "h2"};
	struct herd herd = {0};
	struct why why = {0};
	if (argc != 6) {
		fprintf(stderr, "usage: herd OPERATOR_SOCKET FOLDER FIRST_ADDRESS NUM SECONDS\n");
		return 64;
	}
	log_open("herd");
	log_set_level(LOG_LEVEL_ERROR);
	herd.num = count_of(argv[4]);
	herd.loop = loop_new(&clock_system);
	herd.context = tls_context_new(&tls);
	herd.members = mem_calloc(herd.num, sizeof *herd.members);
	if (herd_make(&herd, argv, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "herd", "cannot start", &why);
		return 70;
	}
	herd_run(&herd, count_of(argv[5]));
	/* The process ends without closing: thousands of orderly closes would measure nothing. */
	return herd.num_streams == herd.num ? 0 : 1;
}
