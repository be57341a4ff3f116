/* Who the two ends of a session are: the chain and key we present, and what the peer proved. */
#pragma once

#include "base/tls/session.h"

enum err session_identity_set(
	struct tls_session *session, const struct tls_session_options *options, struct why *why) _must_use_;
