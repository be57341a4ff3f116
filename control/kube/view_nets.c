/* The networks in which pods, nodes and Services are: an address there that nothing is known about may be that of a pod
 * or a Service that has not come in. A network stays one of pods: the next pod of an empty node gets an address there.
 *
 * Where nodes have addresses of the same networks as pods (a network of a cloud), other hosts can have some too. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/kube/view_private.h"

enum {
	V4_NET = 24, /* what most clusters give to a node */
	V6_NET = 64,
	V6_SERVICES_NET = 112,
	V4_COVER_MIN = 12, /* no API server takes a larger range of Services */
	V6_COVER_MIN = 108,
};

static struct network net_around(const struct ip_addr *ip, uint8_t v6_len)
{
	struct network net = {{.family = ip->family}, ip->family == AF_INET ? V4_NET : v6_len};
	memcpy(net.base.bytes, ip->bytes, net.prefix_len / 8);
	return net;
}

static uint64_t net_hash(const struct kube_view *view, const struct network *at)
{
	return content_mix_ip(view->nets.seed ^ at->prefix_len, &at->base);
}

static bool is_at(const struct table_link *link, const void *key)
{
	const struct net *net = container_of(link, const struct net, link);
	const struct network *at = key;
	return net->at.prefix_len == at->prefix_len && ip_addr_eq(&net->at.base, &at->base);
}

static struct net *net_find(const struct kube_view *view, const struct ip_addr *ip, uint8_t v6_len)
{
	const struct network at = net_around(ip, v6_len);
	struct table_link *link = table_find(&view->nets, net_hash(view, &at), is_at, &at);
	return link == NULL ? NULL : container_of(link, struct net, link);
}

/* NULL: there are too many. */
static struct net *net_for(struct kube_view *view, const struct ip_addr *ip, uint8_t v6_len)
{
	struct net *net = net_find(view, ip, v6_len);
	if (net != NULL || view->nets.num >= KUBE_VIEW_NETS_MAX)
		return net;
	net = mem_new(struct net);
	net->at = net_around(ip, v6_len);
	table_add(&view->nets, &net->link, net_hash(view, &net->at));
	return net;
}

/* --- the range of Services --- */

static struct cover *cover_of(struct kube_view *view, const struct ip_addr *ip)
{
	return &view->covers[ip->family == AF_INET6];
}

static bool do_overlap(const struct network *a, const struct network *b)
{
	return a->prefix_len <= b->prefix_len ? network_contains(a, &b->base) : network_contains(b, &a->base);
}

/* The range of Services has no node and no pod: where there is one, several ranges have been taken for one. */
static void cover_test(struct kube_view *view, const struct net *net)
{
	struct cover *cover = cover_of(view, &net->at.base);
	if ((net->has_pods || net->has_hosts) && cover->at.base.family != 0 && do_overlap(&cover->at, &net->at))
		cover->is_unsound = true;
}

static void cover_test_each(void *arg, struct table_link *link)
{
	cover_test(arg, container_of(link, const struct net, link));
}

static void network_widen(struct network *network)
{
	CHECK(network->prefix_len > 0);
	network->prefix_len--;
	network->base.bytes[network->prefix_len / 8] &= (uint8_t) ~(0x80U >> network->prefix_len % 8);
}

/* The smallest network with all cluster addresses lies within the range that they are from. */
static void cover_widen(struct kube_view *view, const struct ip_addr *ip)
{
	struct cover *cover = cover_of(view, ip);
	if (cover->at.base.family == 0)
		cover->at = net_around(ip, V6_SERVICES_NET);
	else if (cover->is_unsound || network_contains(&cover->at, ip))
		return;
	while (!network_contains(&cover->at, ip))
		network_widen(&cover->at);
	if (cover->at.prefix_len < (ip->family == AF_INET ? V4_COVER_MIN : V6_COVER_MIN))
		cover->is_unsound = true;
	table_each(&view->nets, cover_test_each, view);
}

/* --- what is where --- */

static void note_flat(struct kube_view *view, const struct net *net)
{
	view->is_flat = view->is_flat || (net->has_pods && net->has_hosts);
}

void net_note_pod(struct kube_view *view, const struct ip_addr *ip)
{
	struct net *net = net_for(view, ip, V6_NET);
	view->has_many_nets = view->has_many_nets || net == NULL;
	if (net == NULL || net->has_pods)
		return;
	net->has_pods = true;
	cover_test(view, net);
	note_flat(view, net);
}

void net_note_pod_left_out(struct kube_view *view, const struct ip_addr *ip)
{
	net_note_pod(view, ip);
	struct net *net = net_find(view, ip, V6_NET);
	if (net == NULL)
		return;
	net->is_cut = true;
	net->cut = view->generations[KUBE_PODS];
}

void net_note_host(struct kube_view *view, const struct ip_addr *ip)
{
	struct net *net = net_for(view, ip, V6_NET);
	if (net == NULL || net->has_hosts)
		return;
	net->has_hosts = true;
	cover_test(view, net);
	note_flat(view, net);
}

void net_note_service(struct kube_view *view, const struct ip_addr *ip)
{
	struct net *net = net_for(view, ip, V6_SERVICES_NET);
	view->has_many_nets = view->has_many_nets || net == NULL;
	cover_widen(view, ip);
	if (net != NULL)
		net->has_services = true;
}

static void uncut(void *arg, struct table_link *link)
{
	const struct kube_view *view = arg;
	struct net *net = container_of(link, struct net, link);
	net->is_cut = net->is_cut && net->cut == view->generations[KUBE_PODS];
}

void nets_uncut(struct kube_view *view)
{
	table_each(&view->nets, uncut, view);
}

static void remove_net(void *arg, struct table_link *link)
{
	struct kube_view *view = arg;
	table_remove(&view->nets, link);
	mem_free(container_of(link, struct net, link));
}

void nets_done(struct kube_view *view)
{
	table_each(&view->nets, remove_net, view);
	table_done(&view->nets);
}

enum net_kind net_kind(const struct kube_view *view, const struct ip_addr *ip)
{
	const struct cover *cover = &view->covers[ip->family == AF_INET6];
	const struct net *of_services = net_find(view, ip, V6_SERVICES_NET);
	const struct net *of_pods = net_find(view, ip, V6_NET);
	if (view->has_many_nets)
		return NET_ANY;
	if (!cover->is_unsound && network_contains(&cover->at, ip))
		return NET_SERVICES;
	if (of_services != NULL && of_services->has_services && !of_services->has_pods && !of_services->has_hosts)
		return NET_SERVICES;
	if (of_pods == NULL || !of_pods->has_pods)
		return NET_OUTSIDE;
	return view->is_flat && !of_pods->is_cut ? NET_SHARED : NET_PODS;
}
