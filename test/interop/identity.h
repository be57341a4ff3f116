/* For the echo programs: an identity from files, and TLS sessions with it. The folder has DER files: root, leaf,
 * issuer, and key (PKCS #8). Everything is released when the process ends. */
#pragma once

#include "base/rpc/transport.h"

struct identity;

struct identity *identity_read(const char *folder, enum tls_role role); /* an error ends the process */
/* Adopts fd. The peer must have a chain to the root; a server requests one from every client. */
struct transport *identity_transport(struct identity *identity, int fd);
