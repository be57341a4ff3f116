#include "certs/sent_chain.h"
#include "base/core/check.h"

void sent_chain_init(struct sent_chain *sent)
{
	*sent = (struct sent_chain){.others = sk_X509_new_null()};
	CHECK(sent->others != NULL);
}

void sent_chain_done(struct sent_chain *sent)
{
	X509_free(sent->leaf);
	sk_X509_pop_free(sent->others, X509_free);
}

void sent_chain_add(struct sent_chain *sent, X509 *cert)
{
	if (sent->leaf == NULL)
		sent->leaf = cert;
	else
		CHECK(sk_X509_push(sent->others, cert) > 0);
}
