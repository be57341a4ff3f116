#include "certs/test_mesh.h"
#include "base/core/check.h"
#include "base/core/mem.h"

struct test_mesh {
	int64_t now_s;
	struct trust_domain domain;
	struct test_cert *root, *intermediate;
	struct bundle *bundle;
	struct bundle_set *bundles;
};

#define VALID_S 3600

static struct test_cert *make_authority(const char *subject, int64_t now_s, const struct test_cert *issuer)
{
	struct test_cert_spec spec = test_ca_spec(subject);
	spec.not_before_s = now_s - VALID_S;
	spec.not_after_s = now_s + VALID_S;
	return test_cert_new(&spec, issuer);
}

struct test_mesh *test_mesh_new(const char *trust_domain, int64_t now_s)
{
	struct test_mesh *mesh = mem_new(struct test_mesh);
	CHECK(trust_domain_parse(span_of_str(trust_domain), &mesh->domain, NULL) == ERR_NONE);
	mesh->now_s = now_s;
	mesh->root = make_authority("test root", now_s, NULL);
	mesh->intermediate = make_authority("test intermediate", now_s, mesh->root);
	struct span root = test_cert_der(mesh->root);
	CHECK(bundle_new(&mesh->domain, &root, 1, &mesh->bundle, NULL) == ERR_NONE);
	mesh->bundles = bundle_set_new();
	CHECK(bundle_set_add(mesh->bundles, mesh->bundle, NULL) == ERR_NONE);
	return mesh;
}

void test_mesh_free(struct test_mesh *mesh)
{
	if (mesh == NULL)
		return;
	bundle_set_unref(mesh->bundles);
	bundle_unref(mesh->bundle);
	test_cert_free(mesh->intermediate);
	test_cert_free(mesh->root);
	mem_free(mesh);
}

const struct test_cert *test_mesh_root(const struct test_mesh *mesh)
{
	return mesh->root;
}

const struct test_cert *test_mesh_intermediate(const struct test_mesh *mesh)
{
	return mesh->intermediate;
}

struct bundle *test_mesh_bundle(const struct test_mesh *mesh)
{
	return mesh->bundle;
}

struct bundle_set *test_mesh_bundles(const struct test_mesh *mesh)
{
	return mesh->bundles;
}

struct bundle_set *test_mesh_bundles_until(const struct test_mesh *mesh, int64_t not_after_s)
{
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(mesh->root);
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct test_cert_spec spec = test_ca_spec("test root");
	spec.for_key = key;
	spec.not_before_s = mesh->now_s - VALID_S;
	spec.not_after_s = not_after_s;
	_cleanup_(test_cert_freep) struct test_cert *root = test_cert_new(&spec, mesh->root);
	struct span der = test_cert_der(root);
	struct bundle_set *bundles = bundle_set_new();
	CHECK(bundle_new(&mesh->domain, &der, 1, &bundle, NULL) == ERR_NONE);
	CHECK(bundle_set_add(bundles, bundle, NULL) == ERR_NONE);
	return bundles;
}

struct svid *test_mesh_svid(const struct test_mesh *mesh, const struct test_cert_spec *spec)
{
	_cleanup_(test_cert_freep) struct test_cert *leaf = test_cert_new(spec, mesh->intermediate);
	struct span chain[] = {test_cert_der(leaf), test_cert_der(mesh->intermediate)};
	struct svid *svid = NULL;
	CHECK(svid_parse(chain, 2, &svid, NULL) == ERR_NONE);
	return svid;
}

struct credentials *test_mesh_credentials_until(
	const struct test_mesh *mesh, const char *id, int64_t not_after_s, struct bundle_set *bundles)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	struct test_cert_spec spec = test_leaf_spec(id);
	spec.for_key = key;
	spec.not_before_s = mesh->now_s - VALID_S;
	spec.not_after_s = not_after_s;
	_cleanup_(svid_unrefp) struct svid *svid = test_mesh_svid(mesh, &spec);
	struct credentials *credentials = NULL;
	struct epoch epoch = {.incarnation = 1, .counter = 1};
	CHECK(credentials_new(svid, key, bundles != NULL ? bundles : mesh->bundles, epoch, mesh->now_s, &credentials,
		      NULL) == ERR_NONE);
	return credentials;
}

struct credentials *test_mesh_credentials(const struct test_mesh *mesh, const char *id)
{
	return test_mesh_credentials_until(mesh, id, mesh->now_s + VALID_S, NULL);
}
