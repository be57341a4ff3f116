/* The mesh's state and policy per sidecar: which version each is to have, has got and has confirmed. */
#include "base/core/check.h"
#include "control/distribute/distribute_private.h"
#include "control/distribute/encode.h"

static void new_version(struct distributor *distributor)
{
	distributor->mesh_version = ++distributor->answer_version;
	distributor->num_marks++;
}

void policies_renew(struct stream *stream, uint64_t *version)
{
	if (*version == 0)
		new_version(stream->distributor);
	*version = stream->mesh_wanted = stream->distributor->mesh_version;
	work_stream_due(stream);
}

static bool is_known(const struct distributor *distributor)
{
	const struct policy_source *source = &distributor->policies;
	return source->is_known == NULL || source->is_known(source->arg);
}

void distributor_set_config(struct distributor *distributor, const struct control_config *config)
{
	distributor->config = config;
	new_version(distributor);
	work_sites_due(distributor, NULL);
	LIST_EACH(&distributor->streams, struct stream, stream, link) {
		stream->mesh_wanted = distributor->mesh_version;
		work_stream_due(stream);
	}
}

const struct control_config *distributor_config(const struct distributor *distributor)
{
	return distributor->config;
}

void distributor_set_policies(struct distributor *distributor, const struct policy_source *source)
{
	distributor->policies = *source;
}

const struct policy_source *distributor_policies(const struct distributor *distributor)
{
	return &distributor->policies;
}

void distributor_policies_changed(
	struct distributor *distributor, bool (*concerns)(void *arg, const struct spiffe_id *id), void *arg)
{
	new_version(distributor);
	LIST_EACH(&distributor->streams, struct stream, stream, link) {
		if (concerns != NULL && concerns(arg, &stream->id))
			stream->mesh_wanted = distributor->mesh_version;
		if (stream->mesh_sent != stream->mesh_wanted)
			work_stream_due(stream);
	}
}

void distributor_each_sidecar(const struct distributor *distributor,
	void (*visit)(void *arg, const struct spiffe_id *id, bool is_in_force), void *arg)
{
	LIST_EACH(&distributor->streams, struct stream, stream, link)
		visit(arg, &stream->id, stream->mesh_confirmed == stream->mesh_wanted);
}

uint64_t distributor_policy_marks(const struct distributor *distributor)
{
	return distributor->num_marks;
}

enum err distributor_policy_of(const struct distributor *distributor, const struct spiffe_id *id, struct buf *out)
{
	const struct policy_source *source = &distributor->policies;
	struct policy_found found = {0};
	if (!is_known(distributor))
		return ERR_UNAVAILABLE;
	if (source->find != NULL)
		source->find(source->arg, id, &found);
	return encode_policy(&(struct mesh_state){.config = distributor->config, .found = &found, .id = id}, out);
}

enum err stream_send_mesh(struct stream *stream)
{
	struct distributor *distributor = stream->distributor;
	const struct policy_source *source = &distributor->policies;
	struct policy_found found = {0};
	if (!stream->has_hello || stream->mesh_sent == stream->mesh_wanted || !is_known(distributor))
		return ERR_NONE;
	if (source->find != NULL)
		source->find(source->arg, &stream->id, &found);
	CHECK(found.num <= POLICY_FOUND_MAX);
	struct named_service services[NAMED_SERVICES_MAX];
	const struct mesh_state state = {distributor->config, &found, &stream->id, stream->mesh_wanted, services,
		named_gather(stream, services), zone_gather(stream)};
	buf_clear(&distributor->message);
	RETURN_IF_ERR(encode_mesh_state(&state, &distributor->message));
	RETURN_IF_ERR(rpc_call_send(stream->call, buf_span(&distributor->message)));
	stream->mesh_sent = stream->mesh_wanted;
	return ERR_NONE;
}

void stream_confirmed(struct stream *stream, uint64_t version)
{
	if (version != stream->mesh_sent || version == stream->mesh_confirmed)
		return;
	stream->mesh_confirmed = version;
	stream->distributor->num_marks++;
}
