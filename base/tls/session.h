/* The session struct. Private to base/tls. */
#pragma once

#include "base/tls/input.h"
#include "base/tls/output.h"
#include "base/tls/tls_session.h"
#include <openssl/ssl.h>

enum { NO_ALERT = -1 };

struct tls_session {
	SSL *ssl;
	struct input input;
	struct output output;
	int fd;
	int16_t alert; /* last fatal one, sent or received */
	bool is_client : 1;
	bool may_lack_protocol : 1; /* tls_context_options.alpn_is_optional */
	bool gathers_first : 1;
	bool has_begun : 1; /* its handshake */
	bool is_established : 1;
	bool has_failed : 1;
	bool has_failed_by_peer : 1;
	bool has_ended : 1; /* the last read found an end or a failure, which the next call returns again */
	bool has_sent_close_notify : 1;
	uint8_t steps_seen;    /* handshake_trace.c */
	uint32_t records_left; /* until the sending key is updated */
	uint32_t records_per_key;
	const char *alpn_sign; /* NULL: none */
	tls_verify_fn *on_verify;
	void *verify_arg;
	struct svid *own; /* until the handshake is done, for the trace */
	struct svid *peer;
	struct why *detail; /* NULL: no failure; most sessions never need these 600 bytes */
	tls_step_fn *on_step;
	void *step_arg;
};

struct tls_session *session_of(const SSL *ssl);
/* The explanation of the failure; NULL when it is set already: the first reason stays. */
struct why *session_why_slot(struct tls_session *session);
