/* Two tunnel ends as two processes, without policy, discovery and interception. Measures the cost of the hot path, also
 *between two namespaces. Certificates come from files that it makes itself.
 *
 *	tunnel_pair certs FOLDER
 *	tunnel_pair far  FOLDER LISTEN APP             LISTEN: address of the tunnel port; APP: where streams go
 *	tunnel_pair near FOLDER LISTEN FAR [TUNNELPORT] LISTEN: for apps; FAR: the endpoint, ip:port
 *	tunnel_pair plain -     LISTEN APP             a relay of plain sockets, for comparison
 */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include "certs/test_mesh.h"
#include "sidecar/relay/relay.h"
#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/tunnel_server.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NEAR_ID "spiffe://td.test/near"
#define FAR_ID  "spiffe://td.test/far"

struct program {
	struct loop *loop;
	struct tls_context *context;
	struct tls_scratch *scratch;
	struct verify_cache *cache;
	struct flow_control_memory *budget;
	struct trusted_time time;
	struct tunnel_pool *pool;
	struct tunnel_server *server;
	struct addr listen, target;
	struct spiffe_id expected;
};

struct link {
	struct program *program;
	struct leg *downstream;
	struct inbound_stream *stream;
	struct relay *relay;
	struct loop_io connecting;
	int fd;
};

/* --- certificates in files --- */

static void write_file(const char *folder, const char *name, struct span content)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", folder, name);
	CHECK(fd_write_file(path, content, 0600, NULL) == ERR_NONE);
}

static void write_workload(const struct test_mesh *mesh, const char *folder, const char *name, const char *id)
{
	struct credentials *credentials = test_mesh_credentials(mesh, id);
	_cleanup_(buf_done) struct buf key = BUF_INIT(4096);
	CHECK(private_key_encode(credentials_key(credentials), &key) == ERR_NONE);
	_cleanup_(mem_freep) char *key_name = mem_printf("%s.key", name);
	write_file(folder, key_name, buf_span(&key));
	for (size_t i = 0; i < svid_num_chain(credentials_svid(credentials)); i++) {
		_cleanup_(mem_freep) char *cert_name = mem_printf("%s.%zu", name, i);
		write_file(folder, cert_name, svid_cert(credentials_svid(credentials), i));
	}
	credentials_unref(credentials);
}

static int make_certs(const char *folder)
{
	int64_t now_s = clock_system.wall_ms(&clock_system) / 1000;
	struct test_mesh *mesh = test_mesh_new("td.test", now_s);
	(void)mkdir(folder, 0700);
	write_file(folder, "root", test_cert_der(test_mesh_root(mesh)));
	write_workload(mesh, folder, "near", NEAR_ID);
	write_workload(mesh, folder, "far", FAR_ID);
	test_mesh_free(mesh);
	return 0;
}

static void read_file(const char *folder, const char *name, const char *suffix, struct buf *out)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s%s", folder, name, suffix);
	struct why why = {0};
	buf_init(out, 65536);
	if (fd_read_file(path, 65536, out, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "tunnel_pair", path, &why);
		exit(1);
	}
}

static struct bundle_set *read_bundles(const char *folder)
{
	_cleanup_(buf_done) struct buf root;
	read_file(folder, "root", "", &root);
	struct span der = buf_span(&root);
	struct trust_domain domain;
	struct bundle *bundle;
	CHECK(trust_domain_parse(SPAN_LITERAL("td.test"), &domain, NULL) == ERR_NONE);
	CHECK(bundle_new(&domain, &der, 1, &bundle, NULL) == ERR_NONE);
	struct bundle_set *set = bundle_set_new();
	CHECK(bundle_set_add(set, bundle, NULL) == ERR_NONE);
	bundle_unref(bundle);
	return set;
}

static struct credentials *read_credentials(const char *folder, const char *name)
{
	_cleanup_(buf_done) struct buf leaf, issuer, key_der;
	read_file(folder, name, ".0", &leaf);
	read_file(folder, name, ".1", &issuer);
	read_file(folder, name, ".key", &key_der);
	struct span chain[] = {buf_span(&leaf), buf_span(&issuer)};
	struct svid *svid;
	struct private_key *key;
	struct credentials *credentials;
	struct why why = {0};
	struct bundle_set *bundles = read_bundles(folder);
	CHECK(svid_parse(chain, 2, &svid, NULL) == ERR_NONE);
	CHECK(private_key_parse(buf_span(&key_der), &key, NULL) == ERR_NONE);
	if (credentials_new(svid, key, bundles, (struct epoch){1, 1}, clock_system.wall_ms(&clock_system) / 1000,
		    &credentials, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "tunnel_pair", "the certificates cannot be used", &why);
		exit(1);
	}
	svid_unref(svid);
	private_key_unref(key);
	bundle_set_unref(bundles);
	return credentials;
}

/* --- connections --- */

static struct link *link_new(struct program *program)
{
	struct link *link = mem_new(struct link);
	link->program = program;
	link->fd = -1;
	return link;
}

static void on_relay_end(void *arg, enum relay_end end, const struct why *why)
{
	(void)end;
	(void)why;
	struct link *link = arg;
	relay_free(link->relay);
	mem_free(link);
}

static void join(struct link *link, struct leg *downstream, struct leg *upstream)
{
	struct relay_options options = {
		.downstream = downstream,
		.upstream = upstream,
		.on_end = on_relay_end,
		.arg = link,
	};
	link->relay = relay_start(&options);
}

static void on_stream_result(void *arg, struct leg *leg, const struct stream_result *result)
{
	struct link *link = arg;
	if (leg != NULL) {
		join(link, TAKE_PTR(link->downstream), leg);
		return;
	}
	log_why(LOG_LEVEL_WARNING, "tunnel_pair", "no stream", &result->detail);
	leg_reset(link->downstream);
	leg_free(link->downstream);
	mem_free(link);
}

static void on_near_accept(void *arg, int fd, const struct addr *peer)
{
	struct program *program = arg;
	struct link *link = link_new(program);
	socket_set_nodelay(fd);
	link->downstream = leg_new_plain(program->loop, fd);
	struct stream_request request = {
		.endpoint = program->target,
		.expected = &program->expected,
		.source = *peer,
		.on_result = on_stream_result,
		.arg = link,
		.downstream = link->downstream,
	};
	(void)tunnel_pool_open(program->pool, &request);
}

static void drop(struct link *link)
{
	if (link->stream != NULL)
		inbound_stream_refuse(link->stream, 503, "connect_refused");
	if (link->downstream != NULL) {
		leg_reset(link->downstream);
		leg_free(link->downstream);
	}
	fd_close(link->fd);
	mem_free(link);
}

static void on_connected(struct loop_io *io, unsigned ready)
{
	(void)ready;
	struct link *link = container_of(io, struct link, connecting);
	loop_io_stop(io);
	if (socket_connect_result(link->fd) != ERR_NONE) {
		drop(link);
		return;
	}
	struct leg *upstream = leg_new_plain(link->program->loop, TAKE_FD(link->fd));
	struct leg *downstream = TAKE_PTR(link->downstream);
	join(link, downstream != NULL ? downstream : inbound_stream_accept(TAKE_PTR(link->stream)), upstream);
}

static void dial(struct link *link)
{
	struct program *program = link->program;
	if (socket_connect(&program->target, &(struct socket_connect_options){0}, &link->fd) != ERR_NONE) {
		drop(link);
		return;
	}
	socket_set_nodelay(link->fd);
	loop_io_start(program->loop, &link->connecting, link->fd, LOOP_WRITE, on_connected);
}

static void on_stream(void *arg, struct inbound_stream *stream)
{
	struct link *link = link_new(arg);
	link->stream = stream;
	inbound_stream_set_arg(stream, link);
	dial(link);
}

static void on_abandon(void *arg, struct inbound_stream *stream)
{
	(void)arg;
	struct link *link = inbound_stream_arg(stream);
	link->stream = NULL;
	loop_io_stop(&link->connecting);
	drop(link);
}

static void on_tunnel(void *arg, int fd, const struct addr *peer)
{
	struct program *program = arg;
	tunnel_server_adopt(program->server, fd, peer);
}

static void on_plain_accept(void *arg, int fd, const struct addr *peer)
{
	(void)peer;
	struct link *link = link_new(arg);
	socket_set_nodelay(fd);
	link->downstream = leg_new_plain(link->program->loop, fd);
	dial(link);
}

static void on_failure(
	void *arg, bool outbound, const struct addr *remote, const struct spiffe_id *expected, const struct why *why)
{
	(void)arg;
	(void)outbound;
	(void)remote;
	(void)expected;
	log_why(LOG_LEVEL_WARNING, "tunnel_pair", "a tunnel failed", why);
}

/* --- the two ends --- */

static struct tunnel_options tunnel_options_of(struct program *program)
{
	return (struct tunnel_options){
		.loop = program->loop,
		.context = program->context,
		.scratch = program->scratch,
		.verify_cache = program->cache,
		.budget = program->budget,
		.time = &program->time,
		.observer = {.on_failure = on_failure},
	};
}

static void start_near(struct program *program, const char *folder, uint16_t tunnel_port)
{
	program->context = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "h2"});
	CHECK(spiffe_id_parse(SPAN_LITERAL(FAR_ID), &program->expected, NULL) == ERR_NONE);
	struct tunnel_pool_options options = {.tunnels = tunnel_options_of(program), .tunnel_port = tunnel_port};
	program->pool = tunnel_pool_new(&options);
	struct credentials *credentials = read_credentials(folder, "near");
	tunnel_pool_set_credentials(program->pool, credentials);
	credentials_unref(credentials);
}

static void start_far(struct program *program, const char *folder)
{
	program->context = tls_context_new(&(struct tls_context_options){.role = TLS_SERVER, .alpn = "h2"});
	struct tunnel_server_options options = {
		.tunnels = tunnel_options_of(program),
		.on_stream = on_stream,
		.on_abandon = on_abandon,
		.arg = program,
	};
	program->server = tunnel_server_new(&options);
	struct credentials *credentials = read_credentials(folder, "far");
	tunnel_server_set_credentials(program->server, credentials);
	credentials_unref(credentials);
}

static int run(struct program *program, listener_accept_fn *on_accept)
{
	int listening;
	struct why why = {0};
	if (socket_listen(&program->listen, &(struct socket_listen_options){.reuse_port = true}, &listening, &why) !=
		ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "tunnel_pair", "cannot listen", &why);
		return 1;
	}
	(void)listener_new(program->loop, listening, on_accept, NULL, program);
	loop_run(program->loop);
	return 0;
}

static int usage(void)
{
	(void)fputs("usage: tunnel_pair certs FOLDER | far FOLDER LISTEN APP | near FOLDER LISTEN FAR [TUNNELPORT] | "
		    "plain - LISTEN APP\n",
		stderr);
	return 64;
}

static uint16_t parse_port(const char *text)
{
	_cleanup_(mem_freep) char *any = mem_printf("0.0.0.0:%s", text);
	struct addr addr;
	if (addr_parse(span_of_str(any), &addr) != ERR_NONE)
		exit(usage());
	return addr.port;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "certs") == 0)
		return make_certs(argv[2]);
	struct program program = {.loop = NULL};
	if (argc < 5 || addr_parse(span_of_str(argv[3]), &program.listen) != ERR_NONE ||
		addr_parse(span_of_str(argv[4]), &program.target) != ERR_NONE)
		return usage();
	program.loop = loop_new(&clock_system);
	program.scratch = tls_scratch_new();
	program.cache = verify_cache_new(1024);
	program.budget = flow_control_memory_new(0);
	if (strcmp(argv[1], "near") == 0) {
		start_near(&program, argv[2], argc > 5 ? parse_port(argv[5]) : 15008);
		return run(&program, on_near_accept);
	}
	if (strcmp(argv[1], "far") == 0) {
		start_far(&program, argv[2]);
		return run(&program, on_tunnel);
	}
	return strcmp(argv[1], "plain") == 0 ? run(&program, on_plain_accept) : usage();
}
