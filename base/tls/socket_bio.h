/* The BIO that BoringSSL reads from and writes to. Writes are gathered in output.h and do not touch the socket. */
#pragma once

#include "base/tls/session.h"

BIO_METHOD *socket_bio_method_new(void); /* one per context; BIO_meth_free() */
void socket_bio_attach(struct tls_session *session, const BIO_METHOD *method);
