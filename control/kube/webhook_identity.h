/* The certificate authority and the server certificate of one replica's webhook: P-256, in memory, made anew at each
 * start and again when half of its life is over by the wall clock or by CLOCK_BOOTTIME. The authority's key signs one
 * certificate and is dropped. The API server trusts what caBundle has (register.h), so a fresh pair is used only once
 * its authority is registered there, and a little later, since API servers take the change over one by one. */
#pragma once

#include "base/core/loop.h"
#include "base/core/span.h"
#include "certs/web_identity.h"

#define WEBHOOK_IDENTITY_TTL_S     86400
#define WEBHOOK_IDENTITY_SWITCH_MS 5000 /* from the registration of the fresh authority to its use */

struct webhook_identity;

/* `dns_name`: of the Service that the registration names: "handfast-webhook.handfast-system.svc" in the install
 * manifest. on_change: there is another authority to register. */
struct webhook_identity *webhook_identity_new(
	struct loop *loop, const char *dns_name, void (*on_change)(void *arg), void *arg);
void webhook_identity_free(struct webhook_identity *identity);

struct web_identity *webhook_identity_get(const struct webhook_identity *identity); /* borrowed; never NULL */
/* The authorities that caBundle needs: the one in use, and the fresh one. DER, borrowed until the next turn of the
 * loop. */
#define WEBHOOK_AUTHORITIES_MAX 2
size_t webhook_identity_authorities(const struct webhook_identity *identity, struct span out[WEBHOOK_AUTHORITIES_MAX]);
/* Less than a quarter of its life is left: its successor is not registered. */
bool webhook_identity_is_late(const struct webhook_identity *identity, struct why *why);
void webhook_identity_registered(struct webhook_identity *identity); /* caBundle has all of them */
