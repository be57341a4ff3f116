#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/rpc/transport_private.h"
#include "base/tls/tls_session.h"

static void over_tls_free(struct transport *transport)
{
	tls_session_free(transport->tls);
	mem_free(transport);
}

static int over_tls_fd(const struct transport *transport)
{
	return tls_session_fd(transport->tls);
}

static enum io_result over_tls_handshake(struct transport *transport)
{
	return tls_session_handshake(transport->tls);
}

static enum io_result over_tls_read(struct transport *transport, uint8_t *to, size_t cap, size_t *out_len)
{
	return tls_session_read(transport->tls, to, cap, out_len);
}

static enum io_result over_tls_write(struct transport *transport, struct span bytes, size_t *out_len)
{
	return tls_session_write(transport->tls, bytes, out_len);
}

static enum io_result over_tls_flush(struct transport *transport)
{
	return tls_session_flush(transport->tls);
}

static void over_tls_close_notify(struct transport *transport)
{
	tls_session_close_notify(transport->tls);
}

static const struct why *over_tls_why(const struct transport *transport)
{
	return tls_session_why(transport->tls);
}

static struct svid *over_tls_svid(const struct transport *transport)
{
	return tls_session_peer(transport->tls);
}

struct transport *transport_new_tls(struct tls_session *session)
{
	static const struct transport_ops ops = {over_tls_free, over_tls_fd, over_tls_handshake, over_tls_read,
		over_tls_write, over_tls_flush, over_tls_close_notify, over_tls_why, over_tls_svid};
	CHECK(session != NULL);
	struct transport *transport = mem_new(struct transport);
	transport->ops = &ops;
	transport->tls = session;
	return transport;
}
