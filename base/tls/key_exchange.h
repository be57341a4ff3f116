/* The groups of the key exchange: which ones an end offers and accepts, best first. X25519MLKEM768 withstands a later
 * quantum computer; P-256 and P-384 are for peers that support nothing else (decision 082). */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

enum key_exchange {
#define KEY_EXCHANGE(symbol, its_name, its_number, by_default, is_fips, is_pq) KEY_EXCHANGE_##symbol,
#include "base/tls/key_exchanges.def"
#undef KEY_EXCHANGE
	NUM_KEY_EXCHANGES /* also: none */
};

/* In the order of the setting tls.profile. */
enum key_exchange_profile { KEY_EXCHANGE_DEFAULT, KEY_EXCHANGE_FIPS_GROUPS, KEY_EXCHANGE_PQ_ONLY };

struct key_exchange_list { /* each at most once; num 0: those of the default profile */
	unsigned num;
	enum key_exchange items[NUM_KEY_EXCHANGES];
};

const char *key_exchange_name(enum key_exchange which);   /* "P-256"; "none" for NUM_KEY_EXCHANGES */
enum key_exchange key_exchange_by_name(struct span name); /* NUM_KEY_EXCHANGES: no such */
uint16_t key_exchange_group_id(enum key_exchange which);  /* in TLS (RFC 8446 4.2.7) */
enum key_exchange key_exchange_by_group_id(uint16_t id);  /* NUM_KEY_EXCHANGES: no such */
struct key_exchange_list key_exchange_profile_list(enum key_exchange_profile profile);
/* Adds the one of that name; ERR_CONFIG: it is unknown, or there already. */
enum err key_exchange_add(struct key_exchange_list *list, const char *name, struct why *why) _must_use_;
