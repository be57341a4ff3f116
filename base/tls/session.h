/* The inside of a session, for the files of this folder only. */
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
	bool is_established : 1;
	bool has_failed : 1;
	bool has_failed_by_peer : 1;
	bool has_ended : 1; /* the last read came upon an end or a failure, which the next call tells again */
	bool has_sent_close_notify : 1;
	uint8_t steps_seen;    /* handshake_trace.c */
	uint32_t records_left; /* until our sending key is replaced */
	uint32_t records_per_key;
	tls_verify_fn *on_verify;
	void *verify_arg;
	struct svid *own; /* until the handshake is done: the trace names it */
	struct svid *peer;
	struct why *why; /* NULL: nothing to tell; most sessions never need the half kilobyte */
	tls_step_fn *on_step;
	void *step_arg;
};

struct tls_session *session_of(const SSL *ssl);
/* The failure's story, to be filled once: the first that knows a reason keeps it. */
struct why *session_why_slot(struct tls_session *session);
