// A seccomp filter against the few ways out that no namespace closes: terminal input injection, socket families that
// know no network namespace, and the kernel's keyrings.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <linux/filter.h>

#include <vector>

#include "base/result.h"

namespace soleroute::gateway::jail {

// What it refuses, on this machine's architecture and, on x86-64, its 32-bit one and x32:
// - ioctl TIOCSTI and TIOCLINUX (EPERM): keystrokes for the shell outside (CVE-2017-5226, CVE-2023-28100);
// - socket and socketpair of a family other than UNIX, IPv4, IPv6, NETLINK, PACKET, ALG (EAFNOSUPPORT): AF_VSOCK leads
//   to the hypervisor's host whatever the network namespace; families to come are refused until they are known;
// - io_uring_setup (ENOSYS): IORING_OP_SOCKET makes a socket without socket(2); programs fall back;
// - add_key, request_key and keyctl (ENOSYS): a key that is not there makes the kernel start /sbin/request-key in the
//   machine's own namespaces, which for the type dns_resolver looks up a name of the command's choice (request-key(8));
// - socketcall of 32-bit programs (ENOSYS): its arguments are in memory, where a filter cannot look;
// - system calls of any other architecture (ENOSYS).
[[nodiscard]] std::vector<sock_filter> syscall_filter();

// In force from here on, for this process and all it makes. Needs no_new_privs.
[[nodiscard]] base::Status install_syscall_filter();

}  // namespace soleroute::gateway::jail
