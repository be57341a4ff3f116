/* The control plane's address in the settings: one address, two (one per family), or a name with a port, which may have
 * addresses of both families. Pure. */
#pragma once

#include "base/core/addr.h"

struct control_address {    /* zeroed is valid to control_address_done() */
	char *host;         /* NULL: addresses, not a name */
	uint16_t port;      /* of the name */
	struct addr own[2]; /* without a name; one per family */
	size_t num;
};
/* "192.0.2.1:15012", "192.0.2.1:15012, [2001:db8::1]:15012" or "control.example:15012"; ERR_CONFIG. */
enum err control_address_parse(const char *text, struct control_address *out, struct why *why) _must_use_;
void control_address_done(struct control_address *address);

/* The addresses to dial: one of one family, or one of each family, the preferred family first. `turn` grows after each
 * failure, so that all addresses of a name are tried. */
struct dial_sequence {
	struct ip_addr ips[2];
	size_t num;
};
/* only, preferred: AF_INET, AF_INET6; 0: both, any. */
void dial_sequence_make(const struct ip_addr *ips, size_t num, uint8_t only, uint8_t preferred, unsigned turn,
	struct dial_sequence *out);
