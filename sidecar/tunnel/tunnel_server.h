/* Inbound tunnels of one worker: mutually authenticated, each stream a CONNECT whose :authority is where the peer wants
 * to go. The server judges form (400) and the tunnel's identity; where it may go and whether it is allowed is its
 * owner's. */
#pragma once

#include "sidecar/leg/leg.h"
#include "sidecar/tunnel/tunnel_options.h"

struct tunnel_server;
struct inbound_stream;

struct tunnel_server_options {
	struct tunnel_options tunnels; /* with the context of a server */
	uint32_t max_handshakes;       /* under way at once; 0: 256 */
	/* A well-formed CONNECT of a valid peer. The owner answers with accept or refuse, then or later. on_abandon:
	 * the peer gave up before the answer; the stream must not be answered any more. */
	void (*on_stream)(void *arg, struct inbound_stream *stream);
	void (*on_abandon)(void *arg, struct inbound_stream *stream);
	void *arg;
};
struct tunnel_server *tunnel_server_new(const struct tunnel_server_options *options);
void tunnel_server_free(struct tunnel_server *server);
void tunnel_server_adopt(
	struct tunnel_server *server, int fd, const struct addr *from); /* an accepted connection on 15008 */
void tunnel_server_set_credentials(struct tunnel_server *server, struct credentials *credentials);
void tunnel_server_drain(struct tunnel_server *server);
unsigned tunnel_server_num_tunnels(const struct tunnel_server *server);
unsigned tunnel_server_num_streams(const struct tunnel_server *server);
int64_t tunnel_server_oldest_identity_s(const struct tunnel_server *server);
void tunnel_server_each(const struct tunnel_server *server, tunnel_each_fn *each, void *arg);

const struct addr *inbound_stream_authority(const struct inbound_stream *stream);
const struct addr *inbound_stream_local(const struct inbound_stream *stream); /* the tunnel's own address */
const struct addr *inbound_stream_remote(
	const struct inbound_stream *stream); /* the TCP peer: the source network is this */
const struct svid *inbound_stream_peer(const struct inbound_stream *stream);
enum key_exchange inbound_stream_key_exchange(const struct inbound_stream *stream);
const struct addr *inbound_stream_forwarded(
	const struct inbound_stream *stream); /* the peer's word for its app's address, NULL: absent */
void inbound_stream_set_arg(struct inbound_stream *stream, void *arg);
void *inbound_stream_arg(const struct inbound_stream *stream);
struct leg *inbound_stream_accept(struct inbound_stream *stream); /* answers 200; the stream becomes a leg */
void inbound_stream_refuse(
	struct inbound_stream *stream, unsigned status, const char *reason); /* 400, 401, 503 with handfast-reason */
