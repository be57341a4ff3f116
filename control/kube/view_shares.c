/* What each namespace has of the limits: at most an eighth, so that one namespace does not take the room of others. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"

static const size_t limits[NUM_SHARES] = {
	[SHARE_PODS] = KUBE_VIEW_PODS_MAX / KUBE_VIEW_SHARES,
	[SHARE_SERVICES] = KUBE_VIEW_SERVICES_MAX / KUBE_VIEW_SHARES,
	[SHARE_SLICES] = KUBE_VIEW_SLICES_MAX / KUBE_VIEW_SHARES,
	[SHARE_ENDPOINTS] = KUBE_VIEW_ENDPOINTS_MAX / KUBE_VIEW_SHARES,
};

static bool has_name(const struct table_link *link, const void *namespace_)
{
	return strcmp(container_of(link, const struct share, link)->namespace_, namespace_) == 0;
}

static struct share *share_find(const struct kube_view *view, const char *namespace_)
{
	struct table_link *link =
		table_find(&view->shares, content_mix(view->shares.seed, namespace_), has_name, namespace_);
	return link == NULL ? NULL : container_of(link, struct share, link);
}

bool share_has_room(const struct kube_view *view, const char *namespace_, enum share_kind kind, size_t more)
{
	const struct share *share = share_find(view, namespace_);
	return (share == NULL ? 0 : share->num[kind]) + more <= limits[kind];
}

struct share *share_take(struct kube_view *view, const char *namespace_, enum share_kind kind)
{
	struct share *share = share_find(view, namespace_);
	size_t len = strlen(namespace_) + 1;
	if (share == NULL) {
		share = mem_zalloc(sizeof(*share) + len);
		memcpy(share->namespace_, namespace_, len);
		table_add(&view->shares, &share->link, content_mix(view->shares.seed, namespace_));
	}
	share->num[kind]++;
	return share;
}

void share_drop(struct kube_view *view, struct share *share, enum share_kind kind)
{
	CHECK(share->num[kind] > 0);
	share->num[kind]--;
	for (enum share_kind each = 0; each < NUM_SHARES; each++)
		if (share->num[each] > 0)
			return;
	table_remove(&view->shares, &share->link);
	mem_free(share);
}
