/* The policy part of discovery.proto: every field is checked, and a message with one wrong part is refused as a whole.
 * Pure. */
#pragma once

#include "policy/policy.h"
#include "proto/handfast/v1/discovery.pb-c.h"

/* ERR_MALFORMED, ERR_TOO_LARGE with *why. */
enum err policy_of_message(const Handfast__V1__Policy *message, const struct trust_domain *own_domain,
	struct policy **out, struct why *why) _must_use_;
enum err network_of_message(const Handfast__V1__Network *message, struct network *out, struct why *why) _must_use_;
/* The same from the message's bytes. */
enum err policy_message_parse(
	struct span bytes, const struct trust_domain *own_domain, struct policy **out, struct why *why) _must_use_;
