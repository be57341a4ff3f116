/* The networks in which pods are: one whose pods are known may have one that has not come in. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"

enum { V4_BYTES = 3, V6_BYTES = 8 }; /* what most clusters give to a node: a /24, a /64 */

static struct ip_addr base_of(const struct ip_addr *ip)
{
	struct ip_addr base = {.family = ip->family};
	memcpy(base.bytes, ip->bytes, ip->family == AF_INET ? V4_BYTES : V6_BYTES);
	return base;
}

static uint64_t net_hash(const struct kube_view *view, const struct ip_addr *base)
{
	return content_mix_ip(view->nets.seed, base);
}

static bool has_base(const struct table_link *link, const void *base)
{
	return ip_addr_eq(&container_of(link, const struct pod_net, link)->base, base);
}

static struct pod_net *net_find(const struct kube_view *view, const struct ip_addr *base)
{
	struct table_link *link = table_find(&view->nets, net_hash(view, base), has_base, base);
	return link == NULL ? NULL : container_of(link, struct pod_net, link);
}

void net_enter(struct kube_view *view, const struct ip_addr *ip)
{
	struct ip_addr base = base_of(ip);
	struct pod_net *net = net_find(view, &base);
	if (net == NULL) {
		net = mem_new(struct pod_net);
		net->base = base;
		table_add(&view->nets, &net->link, net_hash(view, &base));
	}
	net->num_places++;
}

void net_leave(struct kube_view *view, const struct ip_addr *ip)
{
	struct ip_addr base = base_of(ip);
	struct pod_net *net = net_find(view, &base);
	CHECK(net != NULL && net->num_places > 0);
	if (--net->num_places > 0)
		return;
	table_remove(&view->nets, &net->link);
	mem_free(net);
}

bool net_has(const struct kube_view *view, const struct ip_addr *ip)
{
	struct ip_addr base = base_of(ip);
	return net_find(view, &base) != NULL;
}
