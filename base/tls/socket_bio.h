/* Our BIO: what the TLS library reads and writes through. It never touches the socket on writing (output.h gathers). */
#pragma once

#include "base/tls/session.h"

BIO_METHOD *socket_bio_method_new(void); /* one a context; BIO_meth_free() */
void socket_bio_attach(struct tls_session *session, const BIO_METHOD *method);
