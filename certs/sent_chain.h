/* The parsed chain of verify_machine.h and verify_web.h, as it was sent. Private to certs. */
#pragma once

#include "base/core/cleanup.h"
#include "certs/boringssl.h"

struct sent_chain {
	X509 *leaf; /* NULL: none yet */
	STACK_OF(X509) * others;
};

void sent_chain_init(struct sent_chain *sent);
void sent_chain_done(struct sent_chain *sent);            /* allowed on zeroed storage */
void sent_chain_add(struct sent_chain *sent, X509 *cert); /* adopts it; the first is the leaf */
