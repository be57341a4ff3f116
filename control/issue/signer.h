/* The signer: a separate process, the only one with the keys. It serves one issuer over one inherited socket and ends
 * when that closes. */
#pragma once

/* argv: anything, "signer", descriptor, key folder, trust domain, longest lifetimes of leaf, intermediate and root in
 * seconds, enum key_policy as a number. Returns the exit code. Called by main() before anything else, so that no key
 * ever shares a process with the network. */
#define SIGNER_TOKEN_FD 4 /* the socket to handfast-pkcs11, if there is a token */
int signer_main(int argc, char **argv);
#define SIGNER_COMMAND        "signer"
#define SIGNER_EXIT_BAD_STATE 65 /* keys that are damaged or missing */
