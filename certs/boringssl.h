/* BoringSSL's headers and cleanup functions for its objects. Private to certs. */
#pragma once

#include "base/core/cleanup.h"
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/curve25519.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EC_KEY *, EC_KEY_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(X509_CRL *, X509_CRL_free)
DEFINE_CLEANUP(AUTHORITY_KEYID *, AUTHORITY_KEYID_free)
DEFINE_CLEANUP(ASN1_INTEGER *, ASN1_INTEGER_free)
DEFINE_CLEANUP(CRYPTO_BUFFER *, CRYPTO_BUFFER_free)
DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)
DEFINE_CLEANUP(EXTENDED_KEY_USAGE *, EXTENDED_KEY_USAGE_free)
DEFINE_CLEANUP(NAME_CONSTRAINTS *, NAME_CONSTRAINTS_free)
DEFINE_CLEANUP(BASIC_CONSTRAINTS *, BASIC_CONSTRAINTS_free)
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)
DEFINE_CLEANUP(uint8_t *, OPENSSL_free)
