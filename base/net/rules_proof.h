/* Whether the interception rules of the network namespace are in force, for a program without a capability: the rules
 * drop datagrams to one port of the sidecar's address on lo, and a program whose datagram is dropped on its way out
 * gets EPERM. Needs no listener; nothing leaves the machine. handfast-init writes the rule. */
#pragma once

#include <stdbool.h>

#define RULES_PROOF_IP   "169.254.15.6"
#define RULES_PROOF_PORT 15009 /* UDP */

enum rules_proof {
	RULES_PROOF_GIVEN,
	RULES_PROOF_MISSING, /* no such rule: removed, never written, or of a handfast-init before this rule; or no
				address */
	RULES_PROOF_UNKNOWN  /* other datagrams to that address do not get there either, or there are no descriptors */
};

enum rules_proof rules_proof_ask(void);

/* Whether this process has the uid and the gid that the rules exempt, both. They redirect what any other opens. */
bool rules_proof_is_exempt(void);
