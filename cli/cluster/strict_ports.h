/* Which inbound ports of a namespace's pods are ready for the mode strict, by the pages /check of their sidecars:
 * counted per namespace and port. Pure. */
#pragma once

#include "cli/cluster/findings.h"

struct strict_ports;
struct strict_ports *strict_ports_new(void);
void strict_ports_free(struct strict_ports *ports);
void strict_ports_add(struct strict_ports *ports, const char *namespace_, const json_t *page);
/* num_asked of num_all sidecars have answered. */
void strict_ports_report(
	const struct strict_ports *ports, unsigned num_asked, unsigned num_all, struct findings *findings);
