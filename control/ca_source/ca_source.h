/* An authority of the operator's that the control plane asks by itself (decision 070): files that are read again,
 * or a command that signs requests. What it gives is the signer's next intermediate; a new root begins a rotation. A
 * failure leaves what is in use, is tried again, and is a condition until it is over. */
#pragma once

#include "control/ca_source/ca_command.h"
#include "control/issue/issuer.h"
#include "control/rotate/rotation.h"

#define CA_SOURCE_POLL_MS 5000 /* files are read again, and the end of an intermediate is judged, this often */

struct ca_source;

struct ca_source_options { /* borrowed */
	struct loop *loop;
	struct issuer *issuer;
	struct rotation *rotation;
	struct ca_command *command; /* NULL: from files, or by a token (issuer_options.own) */
	bool has_token;             /* it is asked again ever more rarely after a failure */
};
struct ca_source *ca_source_new(const struct ca_source_options *options);
void ca_source_free(struct ca_source *source); /* rotation and command are freed before the loop runs again */
DEFINE_CLEANUP(struct ca_source *, ca_source_free)

void ca_source_poll(struct ca_source *source); /* now, such as at a reload */
/* Why the last attempt failed; err ERR_NONE: it did not. */
const struct why *ca_source_trouble(const struct ca_source *source);
