/* The extensions of a test certificate, encoded by hand: BoringSSL refuses to encode invalid ones. */
#pragma once

#include "certs/test_ca.h"

struct x509_st;
struct X509_crl_st;

void test_extensions_add(struct x509_st *cert, const struct test_cert_spec *spec, struct x509_st *issuer);
void test_extensions_limit_scope(struct X509_crl_st *crl);
