#include "base/tls/socket_bio.h"
#include "base/core/check.h"
#include <openssl/bio.h>

static int on_read(BIO *bio, char *to, int cap)
{
	struct tls_session *session = BIO_get_data(bio);
	size_t len = 0;
	BIO_clear_retry_flags(bio);
	switch (input_read(&session->input, session->fd, (uint8_t *)to, (size_t)cap, &len)) {
	case INPUT_BYTES:
		return (int)len;
	case INPUT_WOULD_BLOCK:
		BIO_set_retry_read(bio);
		return -1;
	case INPUT_EOF:
		return 0;
	case INPUT_BROKEN:
		return -1;
	}
	CHECK_UNREACHABLE();
}

static int on_write(BIO *bio, const char *bytes, int len)
{
	struct tls_session *session = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	/* Fails only for unexpected output: tls_session_write() checks the room first, and BoringSSL's own messages are
	 * small. */
	return output_append(&session->output, span_of(bytes, (size_t)len)) == ERR_NONE ? len : -1;
}

static long on_ctrl(BIO *bio, int what, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return what == BIO_CTRL_FLUSH; /* the session flushes in tls_session_flush() */
}

BIO_METHOD *socket_bio_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(0, "socket");
	CHECK(method != NULL);
	CHECK(BIO_meth_set_read(method, on_read) && BIO_meth_set_write(method, on_write));
	CHECK(BIO_meth_set_ctrl(method, on_ctrl));
	return method;
}

void socket_bio_attach(struct tls_session *session, const BIO_METHOD *method)
{
	BIO *bio = BIO_new(method);
	CHECK(bio != NULL);
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio);
}

struct tls_session *session_of(const SSL *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl)); /* SSL's ex_data would cost an allocation per session */
}
