// SPDX-License-Identifier: GPL-3.0-or-later
// static_client HOST: GET / over HTTP as a static Go binary does it: own resolver, plain sockets, no libc configuration, no
// variable read. Prints the answer; exit status 1 where there is none. Built by the tests with -static.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const struct timeval kPatience = {10, 0};

static int resolver(struct in_addr* address) {
  char line[256];
  FILE* file = fopen("/etc/resolv.conf", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    char text[64];
    if (sscanf(line, "nameserver %63s", text) == 1 && inet_pton(AF_INET, text, address) == 1) return 1;
  }
  return 0;
}

// The last A record of the answer: it stands at the end, whatever aliases come before it.
static int look_up(const char* host, struct in_addr* address) {
  unsigned char message[512] = {0x12, 0x34, 1, 0, 0, 1};
  size_t size = 12;
  for (const char* label = host; *label != 0;) {
    const size_t length = strcspn(label, ".");
    message[size++] = (unsigned char)length;
    memcpy(message + size, label, length);
    size += length;
    label += length + (label[length] == '.');
  }
  size++;
  message[size + 1] = message[size + 3] = 1;  // type A, class IN
  size += 4;
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
  if (!resolver(&server.sin_addr)) return 0;
  const int link = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  sendto(link, message, size, 0, (struct sockaddr*)&server, sizeof server);
  const ssize_t got = recv(link, message, sizeof message, 0);
  if (got < 28 || message[7] == 0) return 0;
  for (ssize_t at = got - 14; at >= (ssize_t)size; at--) {
    static const unsigned char kRecord[] = {0, 1, 0, 1};
    if (memcmp(message + at, kRecord, 4) != 0 || message[at + 8] != 0 || message[at + 9] != 4) continue;
    memcpy(address, message + at + 10, 4);
    return 1;
  }
  return 0;
}

int main(int count, char** arguments) {
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(80)};
  if (count != 2 || strlen(arguments[1]) > 200 || !look_up(arguments[1], &server.sin_addr)) return 1;
  const int link = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  if (connect(link, (struct sockaddr*)&server, sizeof server) != 0) return 1;
  char text[4096];
  const int size = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", arguments[1]);
  if (write(link, text, (size_t)size) != size) return 1;
  ssize_t got;
  while ((got = read(link, text, sizeof text)) > 0) fwrite(text, 1, (size_t)got, stdout);
  return got == 0 ? 0 : 1;
}
