/* Requests to the kernel's rtnetlink: addresses, routes and routing rules of this network namespace. */
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>

/* Appends an attribute to a request that has `cap` bytes. */
void rtnetlink_add(struct nlmsghdr *request, size_t cap, unsigned short type, const void *bytes, size_t len);
/* The kernel's answer as an errno; it is there when this returns. */
int rtnetlink_send(const struct nlmsghdr *request);
