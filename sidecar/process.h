/* What the process asks of the operating system before anything else: no dumps, no new privileges, all the descriptors
 * it may have; and what it finds there. */
#pragma once

#include "base/core/addr.h"
#include "base/core/err.h"

/* Not dumpable and not traceable by the same uid (abuse cases W24, D42); no privileges by exec; SIGPIPE ignored. */
enum err process_harden(struct why *why) _must_use_;

/* Raises RLIMIT_NOFILE to what is allowed and returns it. */
unsigned long process_descriptors(void);
/* How many inbound tunnels `descriptors` carry: an eighth of them. */
unsigned long process_tunnels(unsigned long descriptors);
/* How many connections `descriptors` carry: two each (plain ones need both), without what inbound tunnels may take and
 * some kept for listeners, admin, metrics, the control plane. */
unsigned long process_connections(unsigned long descriptors);
unsigned process_workers(void); /* one a processor, at most 4 */
bool process_has_ipv6(void);

/* Seconds after which connection tracking forgets a half-closed connection here (nf_conntrack_tcp_timeout_close_wait);
 * 0: not known. */
unsigned process_conntrack_patience_s(void);

/* 169.254.15.6 and 100::6 where handfast-init has put them on lo; family 0 where it has not. The app must see inbound
 * connections come from there, never from 127/8, which applications trust. */
struct app_sources {
	struct ip_addr v4, v6;
};
struct app_sources process_app_sources(void);
