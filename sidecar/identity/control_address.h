/* The control plane's addresses in the settings: of one control plane or of several that share their state, in either
 * family; or a name with a port, which may have addresses of both families. Pure. */
#pragma once

#include "base/core/addr.h"

#define CONTROL_ADDRESSES_MAX 16

struct control_address {                        /* zeroed is valid to control_address_done() */
	char *unix_path;                        /* of a control plane on this host; NULL: none */
	char *host;                             /* NULL: addresses, not a name */
	uint16_t port;                          /* of the name */
	struct addr own[CONTROL_ADDRESSES_MAX]; /* without a name; no IP address twice */
	size_t num;
};
/* "unix:/run/handfast/streams.sock" first, alone or before addresses, over which this host's own are claimed.
 * "192.0.2.1:15012", "192.0.2.1:15012, [2001:db8::1]:15012" with more of them, or "control.example:15012";
 * ERR_CONFIG. */
enum err control_address_parse(const char *text, struct control_address *out, struct why *why) _must_use_;
/* The server that was dialed, for messages; family 0: by the Unix socket. Borrowed or in `text`. */
const char *control_address_name(
	const struct control_address *address, const struct addr *dialed, char text[ADDR_TEXT_MAX]);
void control_address_done(struct control_address *address);

/* The addresses to dial: one of one family, or one of each family, the preferred family first. `turn` grows after each
 * failure, so that all addresses are tried; it begins at a random number, so that sidecars spread over all. */
struct dial_sequence {
	struct ip_addr ips[2];
	size_t num;
};
/* only, preferred: AF_INET, AF_INET6; 0: both, any. */
void dial_sequence_make(const struct ip_addr *ips, size_t num, uint8_t only, uint8_t preferred, unsigned turn,
	struct dial_sequence *out);
