#include "base/core/mem.h"
#include "test/herd/herd.h"
#include "test/herd/tokens.h"

enum { STREAMS_PORT = 15012, ENDPOINTS = 20, SUBSCRIPTIONS = 50, SERVICE_PORT = 80 };

static void on_credentials(void *arg, struct credentials *credentials)
{
	struct member *member = arg;
	struct herd *herd = member->herd;
	if (credentials != NULL && !member->has_svid)
		herd->num_svids++;
	else if (credentials == NULL && member->has_svid)
		herd->num_svids--;
	member->has_svid = credentials != NULL;
	if (credentials != NULL)
		herd_moment(herd, MOMENT_TRUST, member);
}

static void look(struct herd *herd)
{
	if (!herd->stays && herd->num_svids == herd->num && herd->num_streams == herd->num)
		loop_stop(herd->loop);
}

static void on_connection(void *arg, struct rpc_client *client)
{
	struct member *member = arg;
	if (client != NULL && member->connection == NULL)
		member->herd->num_streams++;
	else if (client == NULL && member->connection != NULL)
		member->herd->num_streams--;
	member->connection = client;
	watch_attach(&member->watch, client);
	look(member->herd);
}

static void on_time(_unused_ void *arg, _unused_ const struct trusted_time *time)
{
}

static void on_event(void *arg, enum identity_event event, _unused_ const struct why *why)
{
	struct member *member = arg;
	member->herd->num_failed += event == IDENTITY_ATTEST_FAILED || event == IDENTITY_RENEW_FAILED;
	if (event != IDENTITY_ATTESTED && event != IDENTITY_RENEWED)
		return;
	member->herd->num_issued++;
	herd_moment(member->herd, MOMENT_SVID, member);
	look(member->herd);
}

static void on_watch(void *arg, enum watch_event event)
{
	struct member *member = arg;
	if (event == WATCH_ANSWERS) {
		herd_moment(member->herd, MOMENT_ANSWERS, member);
		return;
	}
	herd_moment(member->herd, MOMENT_MESH, member);
	herd_moment(member->herd, MOMENT_BACK, member);
}

static struct ip_addr plus(const struct ip_addr *first, unsigned number)
{
	struct ip_addr sum = {.family = AF_INET};
	uint32_t value = 0;
	for (size_t i = 0; i < 4; i++)
		value = value << 8 | first->bytes[i];
	value += number;
	for (size_t i = 0; i < 4; i++)
		sum.bytes[i] = (uint8_t)(value >> (24 - 8 * i));
	return sum;
}

static void subscribe(const struct herd *herd, unsigned number, struct watch *watch)
{
	const struct mesh_part *mesh = &herd->mesh;
	if (mesh->num_services == 0)
		return;
	unsigned step = mesh->num_services >= SUBSCRIPTIONS ? mesh->num_services / SUBSCRIPTIONS : 1;
	watch->num = mesh->num_services >= SUBSCRIPTIONS ? SUBSCRIPTIONS : mesh->num_services;
	for (unsigned i = 0; i < watch->num; i++)
		watch->destinations[i] = (struct addr){
			.ip = plus(&mesh->first_service, (mesh->first_number + number + i * step) % mesh->num_services),
			.port = SERVICE_PORT};
}

static char *id_of(void *arg, unsigned number)
{
	const struct mesh_part *mesh = &((const struct herd *)arg)->mesh;
	number += mesh->first_number;
	if (number < mesh->num_services * ENDPOINTS)
		return mem_printf("spiffe://cluster.local/service/%u", number % mesh->num_services);
	return mem_printf("spiffe://cluster.local/herd/%u", number);
}

static enum err member_make(
	struct herd *herd, unsigned number, const char *folder, const struct ip_addr *first, struct why *why)
{
	struct member *member = &herd->members[number];
	_cleanup_(mem_freep) char *state = mem_printf("%s/state-%u", folder, number);
	const struct addr address = {plus(first, number), STREAMS_PORT};
	char text[ADDR_TEXT_MAX];
	member->herd = herd;
	member->address = mem_printf("%s", addr_format(&address, text));
	member->token_file = mem_printf("%s/%u", folder, number);
	member->watch = (struct watch){.on_event = on_watch, .arg = member};
	subscribe(herd, number, &member->watch);
	RETURN_IF_ERR(state_folder_open(state, &member->state, why));
	struct identity_options options = {.loop = herd->loop,
		.context = herd->context,
		.state = member->state,
		.address = member->address,
		.token_file = member->token_file,
		.claims_address = herd->mesh.num_services > 0,
		.release = "herd",
		.on_credentials = on_credentials,
		.on_time = on_time,
		.on_connection = on_connection,
		.on_event = on_event,
		.arg = member};
	RETURN_IF_ERR(trust_domain_parse(SPAN_LITERAL("cluster.local"), &options.trust_domain, why));
	return identity_client_new(&options, &member->client, why);
}

enum err herd_members_make(struct herd *herd, const char *operator_socket, const char *folder,
	const struct ip_addr *first, struct why *why)
{
	RETURN_IF_ERR(tokens_make(operator_socket, folder, herd->num, id_of, herd, why));
	for (unsigned i = 0; i < herd->num; i++)
		RETURN_IF_ERR(member_make(herd, i, folder, first, why));
	return ERR_NONE;
}

unsigned herd_num_claims(const struct herd *herd)
{
	unsigned num = 0;
	for (unsigned i = 0; i < herd->num; i++) {
		struct identity_status status;
		identity_client_status(herd->members[i].client, &status);
		num += status.claims[0].is_held || status.claims[1].is_held;
	}
	return num;
}
