#include "control/federate/endpoint.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/rates.h"
#include "base/core/share_key.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "control/federate/endpoint_private.h"
#include "control/report/control_metrics.h"

/* Per source. A partner fetches five times per refresh hint, from each of its control planes. */
enum { CONNECTIONS_PER_MINUTE = 240, CONNECTIONS_BURST = 160 };

/* A source with many connections closes its own oldest, and no partner's. */
static void make_room(struct endpoint *endpoint)
{
	struct share *share = shares_oldest_of_heaviest(endpoint->places, 0);
	CHECK(share != NULL);
	metric_add(endpoint->options.metrics, CONTROL_REFUSED_FEDERATION, 1);
	endpoint_conn_free(container_of(share, struct endpoint_conn, place));
}

static void on_accept(void *arg, int fd, const struct addr *from)
{
	struct endpoint *endpoint = arg;
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&from->ip, keys);
	/* A handshake costs a signature on the one loop that sidecars use too. */
	if (!rates_take(endpoint->rates, &keys[0], loop_now_ms(endpoint->options.loop))) {
		metric_add(endpoint->options.metrics, CONTROL_REFUSED_FEDERATION, 1);
		fd_close(fd);
		return;
	}
	if (endpoint->num_conns == ENDPOINT_CONNECTIONS_MAX)
		make_room(endpoint);
	socket_set_nodelay(fd);
	struct endpoint_conn *conn = endpoint_conn_new(endpoint, fd, from);
	if (conn == NULL)
		return;
	CHECK(shares_take(endpoint->places, 0, keys, num_keys, 1, &conn->place) == SHARE_LIMIT_NONE);
	list_push_back(&endpoint->conns, &conn->link);
	endpoint->num_conns++;
}

struct endpoint *endpoint_new(const struct endpoint_options *options)
{
	/* The port speaks HTTP/1.1 alone; many clients of bundle endpoints offer no ALPN. */
	const struct tls_context_options tls = {
		.role = TLS_SERVER, .client_auth = TLS_CLIENT_AUTH_NONE, .alpn = "http/1.1", .alpn_is_optional = true};
	struct endpoint *endpoint = mem_new(struct endpoint);
	endpoint->options = *options;
	endpoint->context = tls_context_new(&tls);
	endpoint->scratch = tls_scratch_new();
	endpoint->lines = limited_log_new(options->loop, "federate");
	endpoint->places = shares_new(
		&(struct shares_options){.capacity = ENDPOINT_CONNECTIONS_MAX, .num_classes = 1, .seed = random_u64()});
	endpoint->rates = rates_new(&(struct rates_options){
		.per_minute = CONNECTIONS_PER_MINUTE, .burst = CONNECTIONS_BURST, .seed = random_u64()});
	endpoint->listener = listener_new(options->loop, options->listening_fd, on_accept, NULL, endpoint);
	return endpoint;
}

void endpoint_free(struct endpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	listener_free(endpoint->listener);
	LIST_EACH_REMOVABLE(&endpoint->conns, struct endpoint_conn, conn, link)
		endpoint_conn_free(conn);
	CHECK(endpoint->num_conns == 0);
	shares_free(endpoint->places);
	rates_free(endpoint->rates);
	limited_log_free(endpoint->lines);
	tls_context_free(endpoint->context);
	tls_scratch_free(endpoint->scratch);
	mem_free(endpoint);
}
