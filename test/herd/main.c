/* A herd: thousands of sidecars' identity clients in one process, which all enroll at the same moment, as after a cold
 * start or an outage that outlived every certificate. Each dials an address of its own, which is also its source, so
 * that the control plane sees as many hosts.
 *
 *     herd OPERATOR_SOCKET FOLDER FIRST_ADDRESS NUM SECONDS [FIRST_NUMBER NUM_SERVICES FIRST_SERVICE [KEY_EXCHANGE]]
 *
 * FIRST_ADDRESS and the NUM - 1 addresses after it must be on this machine's lo. One line of JSON per second, and one
 * at the end: how many have an SVID, how many have a stream, how many tries failed. Exit code 0: all of them, in time.
 *
 * With three more it also claims its addresses, subscribes services and confirms what comes, stays when all are there,
 * and takes commands (herd.h). KEY_EXCHANGE, such as X25519: the only one that it offers.
 */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "test/herd/herd.h"
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define REPORT_MS 1000
/* One sidecar has none of this cost: with thousands the top of the heap is freed and used again all the time. */
#define HEAP_KEPT (64 * 1024 * 1024)

static void on_report(struct loop_timer *timer)
{
	struct herd *herd = container_of(timer, struct herd, report);
	herd_print(herd, "running");
	if (loop_now_ms(herd->loop) >= herd->deadline_ms)
		loop_stop(herd->loop);
	else
		loop_timer_start(herd->loop, &herd->report, REPORT_MS, on_report);
}

static void herd_run(struct herd *herd, uint64_t seconds)
{
	loop_run_once(herd->loop, false);
	herd->started_ms = loop_now_ms(herd->loop);
	herd->deadline_ms = herd->started_ms + seconds * 1000;
	for (unsigned i = 0; i < herd->num; i++)
		identity_client_start(herd->members[i].client);
	loop_timer_start(herd->loop, &herd->report, REPORT_MS, on_report);
	if (herd->stays)
		herd_commands_start(herd);
	loop_run(herd->loop);
	herd_print(herd, "over");
}

static enum err herd_make(struct herd *herd, int argc, char **argv, struct why *why)
{
	struct ip_addr first;
	RETURN_IF_ERR(ip_addr_parse(span_of_str(argv[3]), &first));
	if (argc >= 9) {
		herd->stays = true;
		herd->mesh.first_number = (unsigned)herd_number(argv[6]);
		herd->mesh.num_services = (unsigned)herd_number(argv[7]);
		RETURN_IF_ERR(ip_addr_parse(span_of_str(argv[8]), &herd->mesh.first_service));
	}
	return herd_members_make(herd, argv[1], argv[2], &first, why);
}

/* The tokens are made; the herds start together at a line from outside. */
static void wait_for_start(void)
{
	printf("{\"made\": true}\n");
	fflush(stdout);
	char letter;
	while (read(STDIN_FILENO, &letter, 1) == 1 && letter != '\n')
		;
}

int main(int argc, char **argv)
{
	struct tls_context_options tls = {.role = TLS_CLIENT, .alpn = "h2"};
	struct herd herd = {0};
	struct why why = {0};
	if ((argc != 6 && argc != 9 && argc != 10) ||
		(argc == 10 && key_exchange_add(&tls.key_exchanges, argv[9], NULL) != ERR_NONE)) {
		fprintf(stderr, "usage: herd OPERATOR_SOCKET FOLDER FIRST_ADDRESS NUM SECONDS "
				"[FIRST_NUMBER NUM_SERVICES FIRST_SERVICE [KEY_EXCHANGE]]\n");
		return 64;
	}
	log_open("herd");
	(void)fd_limit_raise();
	log_set_level(LOG_LEVEL_ERROR);
	herd.num = (unsigned)herd_number(argv[4]);
	CHECK(mallopt(M_TRIM_THRESHOLD, HEAP_KEPT) && mallopt(M_TOP_PAD, HEAP_KEPT / 16));
	herd.loop = loop_new(&clock_system);
	herd.context = tls_context_new(&tls);
	herd.members = mem_calloc(herd.num, sizeof *herd.members);
	moments_init(&herd.moments, herd.num);
	if (herd_make(&herd, argc, argv, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "herd", "cannot start", &why);
		return 70;
	}
	if (herd.stays)
		wait_for_start();
	herd_run(&herd, herd_number(argv[5]));
	/* The process ends without closing: thousands of orderly closes would measure nothing. */
	return herd.num_streams == herd.num ? 0 : 1;
}
