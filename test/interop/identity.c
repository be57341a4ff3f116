#include "test/interop/identity.h"
#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "certs/verify.h"
#include <stdlib.h>

struct identity {
	enum tls_role role;
	struct tls_context *context;
	struct tls_scratch *scratch;
	struct svid *svid;
	struct private_key *key;
	struct bundle_set *bundles;
};

static void read_file(const char *folder, const char *name, struct buf *out)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", folder, name);
	struct why why = {0};
	buf_init(out, 65536);
	if (fd_read_file(path, 65536, out, &why) == ERR_NONE)
		return;
	log_why(LOG_LEVEL_ERROR, "interop", path, &why);
	exit(1);
}

static struct bundle_set *read_bundles(const char *folder, const struct trust_domain *domain)
{
	_cleanup_(buf_done) struct buf root;
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	read_file(folder, "root", &root);
	struct span der = buf_span(&root);
	struct bundle_set *set = bundle_set_new();
	CHECK(bundle_new(domain, &der, 1, &bundle, NULL) == ERR_NONE);
	CHECK(bundle_set_add(set, bundle, NULL) == ERR_NONE);
	return set;
}

struct identity *identity_read(const char *folder, enum tls_role role)
{
	_cleanup_(buf_done) struct buf leaf, issuer, key;
	read_file(folder, "leaf", &leaf);
	read_file(folder, "issuer", &issuer);
	read_file(folder, "key", &key);
	const struct span chain[] = {buf_span(&leaf), buf_span(&issuer)};
	struct identity *identity = mem_new(struct identity);
	struct trust_domain domain;
	CHECK(svid_parse(chain, 2, &identity->svid, NULL) == ERR_NONE);
	CHECK(private_key_parse(buf_span(&key), &identity->key, NULL) == ERR_NONE);
	CHECK(trust_domain_parse(spiffe_id_trust_domain(svid_id(identity->svid)), &domain, NULL) == ERR_NONE);
	identity->bundles = read_bundles(folder, &domain);
	identity->role = role;
	identity->scratch = tls_scratch_new();
	identity->context = tls_context_new(&(struct tls_context_options){.role = role, .alpn = "h2"});
	return identity;
}

static enum err on_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	const struct identity *identity = arg;
	return verify_chain(&(struct verify_input){.chain = chain,
				    .num_chain = num_chain,
				    .bundles = identity->bundles,
				    .role = identity->role == TLS_CLIENT ? VERIFY_SERVER : VERIFY_CLIENT,
				    .now_s = clock_system.wall_ms(&clock_system) / 1000},
		out_svid, why);
}

struct transport *identity_transport(struct identity *identity, int fd)
{
	struct tls_session *session;
	const struct tls_session_options options = {.context = identity->context,
		.scratch = identity->scratch,
		.fd = fd,
		.svid = identity->svid,
		.key = identity->key,
		.on_verify = on_verify,
		.verify_arg = identity};
	CHECK(tls_session_new(&options, &session, NULL) == ERR_NONE);
	return transport_new_tls(session);
}
