/* Shared by the files of this folder. */
#pragma once

#include "control/attest/attest.h"
#include "control/attest/join_token.h"

struct attest {
	struct loop *loop;
	struct store *store;
	struct trust_domain domain;
	struct attest_kubernetes kubernetes; /* review NULL: none */
};

#define TOKEN_KEY_PREFIX "token/"
#define TOKEN_KEY_LEN    (sizeof TOKEN_KEY_PREFIX + 2 * JOIN_TOKEN_ID_LEN)
void attest_token_key(const uint8_t id[JOIN_TOKEN_ID_LEN], char out[TOKEN_KEY_LEN]);
int64_t attest_now_s(const struct attest *attest);
