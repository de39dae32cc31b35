/* Preloaded: a kernel that takes requests over netlink and never answers. SILENT_NETLINK names the protocol (SO_PROTOCOL). */
/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>

static int is_silent(int socket) {
  int domain = 0, protocol = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_NETLINK) return 0;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0) return 0;
  const char* wanted = getenv("SILENT_NETLINK");
  return wanted != NULL && atoi(wanted) == protocol;
}

ssize_t recvmsg(int socket, struct msghdr* message, int flags) {
  ssize_t (*real)(int, struct msghdr*, int) = (ssize_t(*)(int, struct msghdr*, int))dlsym(RTLD_NEXT, "recvmsg");
  ssize_t got;
  do {
    got = real(socket, message, flags);
  } while (got > 0 && is_silent(socket));
  return got;
}

ssize_t recv(int socket, void* buffer, size_t size, int flags) {
  ssize_t (*real)(int, void*, size_t, int) = (ssize_t(*)(int, void*, size_t, int))dlsym(RTLD_NEXT, "recv");
  ssize_t got;
  do {
    got = real(socket, buffer, size, flags);
  } while (got > 0 && is_silent(socket));
  return got;
}
