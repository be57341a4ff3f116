/* Shared by issuer.c (the child and the queues) and issuer_requests.c (what is asked). */
#pragma once

#include "control/issue/issuer.h"
#include "control/issue/wire.h"

/* Fills in the number and the mark of the store. on_done is never called from within this call. */
struct issuer_request *issuer_send(
	struct issuer *issuer, struct wire_request *message, issuer_done_fn *on_done, void *arg);
