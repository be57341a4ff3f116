/* For tests: the certificates of a small mesh: a root, an intermediate and any number of workloads, all valid. */
#pragma once

#include "certs/credentials.h"
#include "certs/test_ca.h"

struct test_mesh;
/* All certificates are valid from an hour before to an hour after now_s. */
struct test_mesh *test_mesh_new(const char *trust_domain, int64_t now_s);
void test_mesh_free(struct test_mesh *mesh);
DEFINE_CLEANUP(struct test_mesh *, test_mesh_free)
const struct test_cert *test_mesh_root(const struct test_mesh *mesh);
const struct test_cert *test_mesh_intermediate(const struct test_mesh *mesh);
struct bundle *test_mesh_bundle(const struct test_mesh *mesh); /* borrowed: add it to other meshes' sets to federate */
struct bundle_set *test_mesh_bundles(const struct test_mesh *mesh); /* borrowed: the set with that bundle alone */

/* The same root, that ends then, alone; a new reference. */
struct bundle_set *test_mesh_bundles_until(const struct test_mesh *mesh, int64_t not_after_s);

/* Leaf and intermediate for a key; a new reference. `spec`: from test_leaf_spec(), possibly changed. */
struct svid *test_mesh_svid(const struct test_mesh *mesh, const struct test_cert_spec *spec);
/* A workload with a new key and the mesh's own bundle; a new reference. */
struct credentials *test_mesh_credentials(const struct test_mesh *mesh, const char *id);
/* The same, valid until not_after_s, with `bundles` (NULL: the mesh's own). */
struct credentials *test_mesh_credentials_until(
	const struct test_mesh *mesh, const char *id, int64_t not_after_s, struct bundle_set *bundles);
