#include "base/rpc/transport.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/rpc/transport_private.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct plain {
	struct transport transport;
	int fd;
	struct why detail;
};

static struct plain *plain_of(const struct transport *transport)
{
	return container_of(transport, struct plain, transport);
}

static void plain_free(struct transport *transport)
{
	struct plain *plain = plain_of(transport);
	fd_close(plain->fd);
	mem_free(plain);
}

static int plain_fd(const struct transport *transport)
{
	return plain_of(transport)->fd;
}

static enum io_result plain_handshake(struct transport *transport)
{
	(void)transport;
	return IO_DONE;
}

static enum io_result fail(struct plain *plain, const char *doing)
{
	(void)why_set(&plain->detail, err_from_errno(errno), "an open connection",
		"check the peer, and the network to it", "%s failed: %s", doing, strerror(errno));
	return IO_FAILED;
}

static enum io_result plain_read(struct transport *transport, uint8_t *to, size_t cap, size_t *out_len)
{
	struct plain *plain = plain_of(transport);
	ssize_t len = recv(plain->fd, to, cap, 0);
	if (len > 0) {
		*out_len = (size_t)len;
		return IO_DONE;
	}
	if (len == 0)
		return IO_EOF;
	if (errno == EAGAIN || errno == EINTR)
		return IO_WANT_READ;
	return fail(plain, "read");
}

static enum io_result plain_write(struct transport *transport, struct span bytes, size_t *out_len)
{
	struct plain *plain = plain_of(transport);
	ssize_t len = send(plain->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
	if (len >= 0) {
		*out_len = (size_t)len;
		return IO_DONE;
	}
	if (errno == EAGAIN || errno == EINTR)
		return IO_WANT_WRITE;
	return fail(plain, "write");
}

static enum io_result plain_flush(struct transport *transport)
{
	(void)transport;
	return IO_DONE;
}

static void plain_close_notify(struct transport *transport)
{
	(void)transport;
}

static const struct why *plain_why(const struct transport *transport)
{
	return &plain_of(transport)->detail;
}

static struct svid *plain_svid(const struct transport *transport)
{
	(void)transport;
	return NULL;
}

struct transport *transport_new_plain(int fd)
{
	static const struct transport_ops ops = {plain_free, plain_fd, plain_handshake, plain_read, plain_write,
		plain_flush, plain_close_notify, plain_why, plain_svid};
	CHECK(fd >= 0);
	struct plain *plain = mem_new(struct plain);
	plain->transport.ops = &ops;
	plain->fd = fd;
	return &plain->transport;
}

void transport_free(struct transport *transport)
{
	if (transport != NULL)
		transport->ops->free(transport);
}

int transport_fd(const struct transport *transport)
{
	return transport->ops->fd(transport);
}

struct tls_session *transport_tls(const struct transport *transport)
{
	return transport->tls;
}

struct svid *transport_svid(const struct transport *transport)
{
	return transport->ops->svid(transport);
}

enum io_result transport_handshake(struct transport *transport)
{
	return transport->ops->handshake(transport);
}

enum io_result transport_read(struct transport *transport, uint8_t *to, size_t cap, size_t *out_len)
{
	CHECK(cap > 0); /* recv() of no bytes reads as the end */
	return transport->ops->read(transport, to, cap, out_len);
}

enum io_result transport_write(struct transport *transport, struct span bytes, size_t *out_len)
{
	return transport->ops->write(transport, bytes, out_len);
}

enum io_result transport_write_all(struct transport *transport, struct buf *out)
{
	while (buf_len(out) > 0) {
		size_t len = 0;
		enum io_result result = transport_write(transport, buf_span(out), &len);
		if (result == IO_WANT_WRITE && transport_tls(transport) != NULL)
			result = transport_flush(transport); /* to free its buffer */
		if (result != IO_DONE)
			return result;
		buf_consume(out, len);
	}
	return transport_flush(transport);
}

enum io_result transport_flush(struct transport *transport)
{
	return transport->ops->flush(transport);
}

void transport_close_notify(struct transport *transport)
{
	transport->ops->close_notify(transport);
}

const struct why *transport_why(const struct transport *transport)
{
	return transport->ops->failure(transport);
}
