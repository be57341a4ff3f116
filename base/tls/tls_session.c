#include "base/tls/tls_session.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/tls/application_protocol.h"
#include "base/tls/context.h"
#include "base/tls/handshake_trace.h"
#include "base/tls/session_failure.h"
#include "base/tls/session_identity.h"
#include "base/tls/socket_bio.h"
#include <openssl/err.h>

enum {
	RECORD_PLAIN_MAX = SSL3_RT_MAX_PLAIN_LENGTH,
	RECORD_CIPHER_MAX = RECORD_PLAIN_MAX + 22, /* header 5, content type 1, tag 16 (RFC 8446 5.2) */
	KEY_UPDATE_ROOM = 128, /* the own KeyUpdate and the answer to the peer's can precede the first record */
	/* AES-GCM is safe for 2^24.5 full records per key (RFC 8446 5.5); one write can exceed the limit by a batch. */
	RECORDS_PER_KEY = 1 << 23,
};

/* So tls_session_write() finds room for what output_room() has promised, and for a whole record at least. */
_Static_assert(TLS_OUTPUT_MAX < SCRATCH_BLOCK_LEN, "a block holds a full output");
_Static_assert(TLS_OUTPUT_MAX >= RECORD_CIPHER_MAX + KEY_UPDATE_ROOM, "an empty output takes a record");

enum err tls_session_new(const struct tls_session_options *options, struct tls_session **out, struct why *why)
{
	CHECK(options->fd >= 0 && options->scratch != NULL);
	CHECK(options->on_verify != NULL || options->context->is_peer_anonymous);
	_cleanup_(tls_session_freep) struct tls_session *session = mem_new(struct tls_session);
	session->fd = options->fd;
	session->alert = NO_ALERT;
	session->is_client = options->context->role == TLS_CLIENT;
	session->gathers_first = options->gathers_first;
	session->may_lack_protocol = options->context->alpn_is_optional;
	session->on_verify = options->on_verify;
	session->verify_arg = options->verify_arg;
	session->records_per_key = options->records_per_key != 0 ? options->records_per_key : RECORDS_PER_KEY;
	session->records_left = session->records_per_key;
	input_init(&session->input, options->scratch);
	output_init(&session->output, options->scratch);
	session->ssl = SSL_new(options->context->ctx);
	CHECK(session->ssl != NULL);
	SSL_set_shed_handshake_config(session->ssl, 1); /* also releases the private key */
	socket_bio_attach(session, options->context->socket_bio);
	RETURN_IF_ERR(session_identity_set(session, options, why));
	if (options->server_name != NULL && !SSL_set_tlsext_host_name(session->ssl, options->server_name)) {
		ERR_clear_error();
		return why_set(why, ERR_MALFORMED, "a DNS name of at most 255 characters",
			"check the address in the settings", "this is not the name of a server: %s",
			options->server_name);
	}
	if (options->alpn_sign != NULL)
		application_protocol_add_sign(session, options->context, options->alpn_sign);
	if (options->one_key_share)
		CHECK(SSL_set1_client_key_shares(session->ssl, &options->context->best_group, 1));
	session->input.awaits_hello = session->is_client;
	if (session->is_client)
		SSL_set_connect_state(session->ssl);
	else
		SSL_set_accept_state(session->ssl);
	*out = TAKE_PTR(session);
	return ERR_NONE;
}

void tls_session_free(struct tls_session *session)
{
	if (session == NULL)
		return;
	SSL_free(session->ssl);
	input_done(&session->input);
	output_done(&session->output);
	svid_unref(session->own);
	svid_unref(session->peer);
	mem_free(session->detail);
	fd_close(session->fd);
	mem_free(session);
}

int tls_session_fd(const struct tls_session *session)
{
	return session->fd;
}

bool tls_session_is_established(const struct tls_session *session)
{
	return session->is_established;
}

/* Translates BoringSSL's result; rc <= 0. */
static enum io_result result_of(struct tls_session *session, int rc)
{
	int error = SSL_get_error(session->ssl, rc);
	if (error == SSL_ERROR_WANT_READ)
		return IO_WANT_READ;
	if (error == SSL_ERROR_ZERO_RETURN)
		return IO_EOF;
	return IO_FAILED;
}

static void establish(struct tls_session *session)
{
	CHECK(!session->is_established && !session->has_failed);
	session->is_established = true;
	svid_unref(TAKE_PTR(session->own));
	mem_free(TAKE_PTR(session->detail)); /* the verifier left it empty */
	trace_established(session);
}

/* A server sends nothing before the client's hello: to look for it would be a system call for nothing. */
static void rearm_handshake(struct tls_session *session)
{
	bool may_receive = session->has_begun || !session->is_client;
	session->has_begun = true;
	if (may_receive)
		input_rearm(&session->input);
	else
		input_hold(&session->input);
}

enum io_result tls_session_handshake(struct tls_session *session)
{
	if (session->has_failed)
		return IO_FAILED;
	if (!session->is_established) {
		rearm_handshake(session);
		int rc = SSL_do_handshake(session->ssl);
		enum io_result result = rc == 1 ? IO_DONE : result_of(session, rc);
		if (result == IO_FAILED || result == IO_EOF)
			return session_fail(session);
		if (result == IO_WANT_READ) {
			enum io_result flushed = tls_session_flush(session);
			return flushed == IO_DONE ? IO_WANT_READ : flushed;
		}
		establish(session);
		if (session->gathers_first && session->is_client)
			return IO_DONE;
	}
	return tls_session_flush(session);
}

/* Reads records into `to` until it is full or the input is empty. Returns BoringSSL's last result. */
static int read_records(struct tls_session *session, uint8_t *to, size_t cap, size_t *out_len)
{
	size_t len = 0;
	int rc;
	do {
		size_t step = cap - len < RECORD_PLAIN_MAX ? cap - len : RECORD_PLAIN_MAX;
		rc = SSL_read(session->ssl, to + len, (int)step);
		len += rc > 0 ? (size_t)rc : 0;
		/* One more call without input would be a third of BoringSSL's work for a small message. */
	} while (rc > 0 && len < cap && (SSL_pending(session->ssl) > 0 || !input_is_dry(&session->input)));
	*out_len = len;
	return rc;
}

enum io_result tls_session_read(struct tls_session *session, uint8_t *to, size_t cap, size_t *out_len)
{
	CHECK(session->is_established && cap > 0);
	if (session->has_failed)
		return IO_FAILED;
	input_rearm(&session->input);
	size_t len = 0;
	int rc = read_records(session, to, cap, &len);
	enum io_result result = rc > 0 ? IO_DONE : result_of(session, rc);
	if (result == IO_FAILED)
		(void)session_fail(session); /* returned now if no bytes precede it, else by the next call */
	session->has_ended = result == IO_FAILED || result == IO_EOF;
	if (len == 0)
		return result;
	trace_received(session);
	*out_len = len;
	return IO_DONE;
}

bool tls_session_has_pending(const struct tls_session *session)
{
	/* Not SSL_has_pending(): an incomplete record cannot be read. */
	return SSL_pending(session->ssl) > 0 || session->input.len > 0 || session->has_ended;
}

/* How much of `len` fits beside the buffered output, in whole records, so that a full buffer causes no small records.
 */
static size_t fitting(const struct tls_session *session, size_t len)
{
	size_t room = output_room(&session->output, TLS_OUTPUT_MAX);
	size_t most = room > KEY_UPDATE_ROOM ? (room - KEY_UPDATE_ROOM) / RECORD_CIPHER_MAX * RECORD_PLAIN_MAX : 0;
	return len < most ? len : most;
}

/* The message precedes the next record. Only for the own key: the peer counts its own records. */
static bool spend_records(struct tls_session *session, size_t num_records)
{
	CHECK(num_records > 0 && session->records_left > 0);
	if (num_records < session->records_left) {
		session->records_left -= (uint32_t)num_records;
		return true;
	}
	session->records_left = session->records_per_key;
	return SSL_key_update(session->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1;
}

enum io_result tls_session_write(struct tls_session *session, struct span bytes, size_t *out_len)
{
	CHECK(session->is_established && bytes.len > 0);
	if (session->has_failed)
		return IO_FAILED;
	size_t len = fitting(session, bytes.len);
	if (len == 0)
		return IO_WANT_WRITE;
	size_t num_records = (len + RECORD_PLAIN_MAX - 1) / RECORD_PLAIN_MAX;
	size_t overhead = num_records * (RECORD_CIPHER_MAX - RECORD_PLAIN_MAX) + KEY_UPDATE_ROOM;
	CHECK(output_reserve(&session->output, len + overhead) == ERR_NONE);
	if (!spend_records(session, num_records) || SSL_write(session->ssl, bytes.ptr, (int)len) != (int)len)
		return session_fail(session);
	trace_sent(session);
	*out_len = len;
	return IO_DONE;
}

size_t tls_session_unflushed(const struct tls_session *session)
{
	return output_len(&session->output);
}

enum io_result tls_session_flush(struct tls_session *session)
{
	if (session->has_failed)
		return IO_FAILED;
	enum io_result result = output_flush(&session->output, session->fd);
	return result == IO_FAILED ? session_fail_after_write(session) : result;
}

void tls_session_close_notify(struct tls_session *session)
{
	if (!session->is_established || session->has_failed || session->has_sent_close_notify)
		return;
	session->has_sent_close_notify = true;
	(void)SSL_shutdown(session->ssl); /* once: a second call would read */
	ERR_clear_error();
}
