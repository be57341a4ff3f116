/* Sets up the process before anything else (no core dumps, no new privileges, the highest descriptor limit allowed),
 * and reads what the host offers. */
#pragma once

#include "base/core/addr.h"
#include "base/core/err.h"

/* Not dumpable and not traceable by the same uid (abuse cases W24, D42); no privileges by exec; SIGPIPE ignored. */
enum err process_harden(struct why *why) _must_use_;

/* Mode tproxy: gives up every capability but CAP_NET_RAW, which sockets in a caller's name need. Before threads. */
enum err process_keep_net_raw(struct why *why) _must_use_;
/* Other modes: gives up CAP_NET_RAW, which the program's file has in its image (decision 093); root keeps what it has.
 */
enum err process_drop_net_raw(struct why *why) _must_use_;

/* Raises RLIMIT_NOFILE to the hard limit and returns it. */
unsigned long process_descriptors(void);
/* The number of inbound tunnels for that many descriptors: an eighth of them. */
unsigned long process_tunnels(unsigned long descriptors);
/* The number of handshakes of inbound mutual TLS without a tunnel, where a listener takes it: a sixteenth of them, and
 * no more than 1,024. */
unsigned long process_direct_handshakes(unsigned long descriptors);
/* Of that many descriptors the ones for connections: without those of tunnels in both directions, those of `handshakes`
 * that have not led to a connection yet, and a reserve for listeners, admin, metrics and the control plane. A
 * connection through a tunnel needs one, another one two. */
unsigned long process_connection_descriptors(unsigned long descriptors, unsigned long handshakes);
unsigned process_workers(void); /* one per processor, at most 4 */
bool process_has_ipv6(void);

/* Once the start is over: returns the heap's free pages, and those of the program's file that only the start used. What
 * is used again comes back from the page cache, by a fault of a microsecond for 64 KiB. */
void process_forget_start(void);

/* The seconds after which connection tracking removes a half-closed connection (nf_conntrack_tcp_timeout_close_wait);
 * 0: unknown. */
unsigned process_conntrack_close_wait_s(void);

/* 169.254.15.6 and 100::6 if handfast-init has added them to lo; else family 0. They are the source of inbound
 * connections as the app sees it: never 127/8, which applications trust. */
struct app_sources {
	struct ip_addr v4, v6;
};
struct app_sources process_app_sources(void);
