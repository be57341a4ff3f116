#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/csr.h"
#include "certs/test_ca.h"
#include <stdio.h>

/* Writes the first corpora of the certificate targets, valid and faulty ones: seed_certs <corpus folder>. */

static void write_seed(const char *folder, const char *name, struct span bytes)
{
	char *path = mem_printf("%s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	CHECK(file != NULL && fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len && fclose(file) == 0);
	mem_free(path);
}

static void put(struct buf *chain, const struct test_cert *cert)
{
	struct span der = test_cert_der(cert);
	uint8_t len[2] = {(uint8_t)(der.len >> 8), (uint8_t)der.len};
	CHECK(buf_append(chain, span_of(len, 2)) == ERR_NONE && buf_append(chain, der) == ERR_NONE);
}

static void write_chain(
	const char *folder, const char *name, const struct test_cert_spec *leaf, const struct test_cert_spec *middle)
{
	struct test_cert_spec spec = test_ca_spec("root");
	_cleanup_(buf_done) struct buf chain = BUF_INIT(65536);
	_cleanup_(test_cert_freep) struct test_cert *root = test_cert_new(&spec, NULL);
	_cleanup_(test_cert_freep) struct test_cert *authority = middle == NULL ? NULL : test_cert_new(middle, root);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(leaf, authority == NULL ? root : authority);
	put(&chain, cert);
	if (authority != NULL)
		put(&chain, authority);
	put(&chain, root);
	write_seed(folder, name, buf_span(&chain));
}

static void write_chains(const char *folder)
{
	struct test_cert_spec leaf = test_leaf_spec("spiffe://td.test/a"), middle = test_ca_spec("middle");
	write_chain(folder, "short", &leaf, NULL);
	write_chain(folder, "long", &leaf, &middle);
	middle.permitted[0] = (struct test_name)TEST_URI("td.test");
	middle.excluded[0] = (struct test_name){TEST_NAME_DNS, SPAN_LITERAL("evil.test")};
	middle.path_length = 0;
	write_chain(folder, "constrained", &leaf, &middle);
	leaf.names[1] = (struct test_name){TEST_NAME_OTHER, SPAN_LITERAL("other")};
	leaf.names[2] = (struct test_name){TEST_NAME_IP, SPAN_LITERAL("\x0a\0\0\1")};
	leaf.subject = "leaf";
	write_chain(folder, "names", &leaf, NULL);
	leaf.key = TEST_KEY_RSA_2048;
	write_chain(folder, "rsa", &leaf, NULL);
	leaf.key = TEST_KEY_ED25519;
	write_chain(folder, "ed25519", &leaf, NULL);
}

static void write_crls(const char *folder)
{
	struct test_cert_spec root_spec = test_ca_spec("root"), leaf_spec = test_leaf_spec("spiffe://td.test/a");
	_cleanup_(test_cert_freep) struct test_cert *root = test_cert_new(&root_spec, NULL);
	_cleanup_(test_cert_freep) struct test_cert *leaf = test_cert_new(&leaf_spec, root);
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192);
	struct test_crl_spec spec = test_crl_spec();
	test_crl_make(&spec, root, &der);
	write_seed(folder, "empty", buf_span(&der));
	buf_clear(&der);
	spec.revoked[0] = leaf;
	test_crl_make(&spec, root, &der);
	write_seed(folder, "one", buf_span(&der));
	buf_clear(&der);
	spec.is_of_limited_scope = true;
	test_crl_make(&spec, root, &der);
	write_seed(folder, "limited", buf_span(&der));
}

static void write_requests(const char *folder)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_done) struct buf der = BUF_INIT(CSR_MAX), spki = BUF_INIT(CSR_MAX);
	CHECK(csr_encode(key, &der) == ERR_NONE && private_key_public(key, &spki) == ERR_NONE);
	write_seed(folder, "request", buf_span(&der));
	write_seed(folder, "public_key", buf_span(&spki));
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	const char *const kinds[] = {"svid", "crl", "csr"};
	void (*const writers[])(const char *) = {write_chains, write_crls, write_requests};
	for (size_t i = 0; i < 3; i++) {
		char *folder = mem_printf("%s/%s", argv[1], kinds[i]);
		writers[i](folder);
		mem_free(folder);
	}
	return 0;
}
