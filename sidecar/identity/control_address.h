/* Where the control plane is, as the settings say it: one address, two (one a family), or a name with a port, which may
 * have addresses of both. Pure. */
#pragma once

#include "base/core/addr.h"

struct control_address {    /* zeroed is valid to control_address_done() */
	char *host;         /* NULL: addresses, no name */
	uint16_t port;      /* of the name */
	struct addr own[2]; /* without a name; one a family */
	size_t num;
};
/* "192.0.2.1:15012", "192.0.2.1:15012, [2001:db8::1]:15012" or "control.example:15012"; ERR_CONFIG. */
enum err control_address_parse(const char *text, struct control_address *out, struct why *why) _must_use_;
void control_address_done(struct control_address *address);

/* Which to dial now: each of them from one family, or one of each, the preferred family first. `turn` goes on after a
 * failure, so that a name's further addresses come about. */
struct dial_sequence {
	struct ip_addr ips[2];
	size_t num;
};
/* only, preferred: AF_INET, AF_INET6; 0: both, any. */
void dial_sequence_make(const struct ip_addr *ips, size_t num, uint8_t only, uint8_t preferred, unsigned turn,
	struct dial_sequence *out);
