/* For the echo programs: an identity out of files, TLS sessions with it. The folder holds DER: root, leaf, issuer, and
 * key (PKCS #8). Everything is released when the process ends. */
#pragma once

#include "base/rpc/transport.h"

struct identity;

struct identity *identity_read(const char *folder, enum tls_role role); /* what is wrong ends the process */
/* Adopts fd. The peer must have a chain to the root; a server asks every client for one. */
struct transport *identity_transport(struct identity *identity, int fd);
