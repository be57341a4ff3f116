/* One TLS connection over a non-blocking socket. It owns the descriptor and its buffers but no watcher: the caller
 * watches tls_session_fd() according to the results (IO_WANT_READ, IO_WANT_WRITE).
 *
 * Reading: ciphertext is read ahead in large pieces into a scratch area shared by all sessions of a thread; an
 * incomplete record stays with the session. So plaintext can be pending while the socket is not readable: read until
 * IO_WANT_READ, or call tls_session_has_pending(). Writing: tls_session_write() encrypts into the session's output
 * buffer; tls_session_flush() writes it to the kernel, many records per call. An idle session has no buffers. */
#pragma once

#include "base/core/addr.h"
#include "base/tls/tls_context.h"
#include "certs/private_key.h"
#include "certs/svid.h"
#include "certs/web_identity.h"

struct tls_session;
struct tls_scratch;                        /* one per thread */
struct tls_scratch *tls_scratch_new(void); /* 128 KiB read area */
void tls_scratch_free(struct tls_scratch *scratch);

/* Verifies the peer's chain (DER, leaf first, num_chain > 0). The error selects the alert:
 * ERR_EXPIRED/ERR_NOT_YET_VALID certificate_expired, ERR_UNTRUSTED/ERR_NO_BUNDLE unknown_ca, ERR_REVOKED
 * certificate_revoked, ERR_WRONG_PEER/ERR_DENIED access_denied, ERR_NO_CERTIFICATE certificate_required, else
 * bad_certificate. On success *out_svid is a reference that the session adopts (NULL if the chain is not an SVID). */
typedef enum err tls_verify_fn(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why);

struct tls_session_options {
	struct tls_context *context;
	struct tls_scratch *scratch;
	int fd; /* adopted, also on failure */
	struct svid
		*svid; /* presented to the peer; released after the handshake; NULL: a client without a certificate */
	struct private_key *key;
	struct web_identity *web_identity; /* instead of svid and key: of an end without a SPIFFE ID; NULL: none */
	const char *server_name; /* client: the DNS name for the server to choose its certificate by (SNI, RFC 6066 3);
				    NULL: none, as for an IP address */
	/* Client: a sign for the server in the ALPN list, behind the context's protocol, which alone may be selected; a
	 * literal; NULL: none. */
	const char *alpn_sign;
	/* Client: one key share, for the best group, instead of one more for another kind: for a server that is known
	 * to have that group. Another server costs a round trip more (HelloRetryRequest, RFC 8446 4.1.4). */
	bool one_key_share;
	/* Client: the end of the handshake waits for tls_session_flush(), to leave with the first bytes. */
	bool gathers_first;
	const struct span *extra_chain; /* DER, sent after the svid's chain (the control plane sends its root); borrowed
					   during tls_session_new() */
	size_t num_extra_chain;
	uint32_t records_per_key; /* sent before the key is replaced by a KeyUpdate (RFC 8446 5.5); 0: 2^23 */
	tls_verify_fn *on_verify; /* called once, during the handshake; not by a server with TLS_CLIENT_AUTH_NONE */
	void *verify_arg;
};

enum err tls_session_new(
	const struct tls_session_options *options, struct tls_session **out, struct why *why) _must_use_;
void tls_session_free(struct tls_session *session); /* closes the descriptor without close_notify */
DEFINE_CLEANUP(struct tls_session *, tls_session_free)
int tls_session_fd(const struct tls_session *session);

/* IO_FAILED: see tls_session_why(). Flushes the handshake's own output, including the alert; but for gathers_first. */
enum io_result tls_session_handshake(struct tls_session *session) _must_use_;
bool tls_session_is_established(const struct tls_session *session);
/* After the handshake: whether `name` is the protocol that both ends agreed on (ALPN). */
bool tls_session_has_protocol(const struct tls_session *session, const char *name);

/* IO_DONE with *out_len > 0; IO_WANT_READ; IO_EOF: close_notify was received; IO_FAILED: any other end, also a TCP FIN
 * without close_notify (truncation). At most one recv(2) per call: when *out_len < cap and nothing is pending, another
 * call before the socket is readable only costs a system call. */
enum io_result tls_session_read(struct tls_session *session, uint8_t *to, size_t cap, size_t *out_len) _must_use_;
/* Whether bytes, an end or a failure are pending in memory: read again without waiting for the socket. */
bool tls_session_has_pending(const struct tls_session *session);

/* Encrypts as much of `bytes` (at least one) as fits the output buffer (TLS_OUTPUT_MAX). IO_DONE with *out_len > 0;
 * IO_WANT_WRITE: full, flush first. */
#define TLS_OUTPUT_MAX (1024 * 1024)
enum io_result tls_session_write(struct tls_session *session, struct span bytes, size_t *out_len) _must_use_;
size_t tls_session_unflushed(const struct tls_session *session); /* buffered ciphertext bytes */
enum io_result tls_session_flush(
	struct tls_session *session) _must_use_;            /* IO_DONE: all written; IO_WANT_WRITE; IO_FAILED */
void tls_session_close_notify(struct tls_session *session); /* queued; flush sends it */

/* The peer's SVID, borrowed; NULL before the handshake, or for a client without a certificate. */
struct svid *tls_session_peer(const struct tls_session *session);
/* Explains the failure: the peer's alert, the verifier's reason or the transport's error. Valid after IO_FAILED. */
const struct why *tls_session_why(const struct tls_session *session);
bool tls_session_failed_by_peer(const struct tls_session *session); /* the peer sent a fatal alert */
/* The TLS alert description sent or received (RFC 8446 6), -1: none. */
int tls_session_alert(const struct tls_session *session);
/* RFC 8446 7.5, 32 bytes. After the handshake only. */
enum err tls_session_export(
	struct tls_session *session, const char *label, struct span context, uint8_t out[32]) _must_use_;
const char *tls_session_cipher(const struct tls_session *session);             /* "TLS_AES_128_GCM_SHA256" */
enum key_exchange tls_session_key_exchange(const struct tls_session *session); /* NUM_KEY_EXCHANGES: none yet */
/* Called with a sentence per step of the handshake, as observed by this side. NULL by default; costs nothing then. */
typedef void tls_step_fn(void *arg, const char *step);
void tls_session_trace(struct tls_session *session, tls_step_fn *on_step, void *arg);
