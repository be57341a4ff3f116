/* Reports whom the workload talks to, and which ports are ready for strict, to a control plane that asks for it: for
 * its page. */
#include "base/core/mem.h"
#include "sidecar/identity/messages.h"
#include "sidecar/report/peers.h"
#include "sidecar/sidecar_private.h"

_Static_assert(sizeof((struct report *)0)->rows / sizeof(struct report_row) == PEERS_MAX, "a report has room for all");

struct filling {
	const struct sidecar *sidecar;
	struct report *report;
};

bool sidecar_port_is_strict(const struct sidecar *sidecar, uint16_t port)
{
	return sidecar->policy != NULL && policy_mode(sidecar->policy, port) == INBOUND_STRICT;
}

/* A port that is strict already is of no interest. */
static void add_port(void *arg, uint16_t port, bool mesh, bool plaintext)
{
	const struct filling *filling = arg;
	struct report *report = filling->report;
	(void)mesh; /* true for every port without plaintext, since only used ports are listed */
	if (sidecar_port_is_strict(filling->sidecar, port))
		return;
	size_t *num = plaintext ? &report->num_plaintext_ports : &report->num_strict_ready_ports;
	if (*num < REPORT_ROWS_MAX)
		(plaintext ? report->plaintext_ports : report->strict_ready_ports)[(*num)++] = port;
}

static void fill(struct sidecar *sidecar, struct peer_seen *seen, struct report *report)
{
	report->num_rows = peers_copy(sidecar->peers, seen, &report->num_left_out);
	for (size_t i = 0; i < report->num_rows; i++)
		report->rows[i] = (struct report_row){.id = seen[i].id,
			.address = seen[i].address,
			.is_outbound = seen[i].is_outbound,
			.is_encrypted = seen[i].is_encrypted,
			.reason = seen[i].reason,
			.detail = seen[i].detail,
			.fix = seen[i].fix,
			.num = seen[i].num,
			.first_ms = seen[i].first_ms,
			.last_ms = seen[i].last_ms};
	port_use_each(sidecar->port_use, add_port, &(struct filling){sidecar, report});
}

void sidecar_peers_poll(struct sidecar *sidecar)
{
	uint64_t now_ms = loop_now_ms(sidecar->loop);
	uint32_t each_s = sidecar->identity == NULL ? 0 : identity_client_report_each_s(sidecar->identity);
	if (each_s > 0)
		peers_set_on(sidecar->peers, true);
	if (each_s == 0 || now_ms < sidecar->report_due_ms)
		return;
	sidecar->report_due_ms = now_ms + each_s * 1000ULL;
	_cleanup_(mem_freep) struct peer_seen *seen = mem_calloc(PEERS_MAX, sizeof *seen);
	_cleanup_(mem_freep) struct report *report = mem_new(struct report);
	fill(sidecar, seen, report);
	identity_client_report(sidecar->identity, report);
}
