/* net_addr.c - addresses and text; see net.h. */
#include "io/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- From text ------------------------------------------------------------- */

/* "%eth0" or "%2" to the number of the interface; 0 if there is none. */
static uint32_t scope_of(const char *zone) {
  if (zone[0] < '0' || zone[0] > '9') return if_nametoindex(zone);
  char *end;
  errno = 0;
  const unsigned long number = strtoul(zone, &end, 10);
  return *end == '\0' && errno == 0 && number <= UINT32_MAX ? (uint32_t)number
                                                            : 0;
}

/* `host` has no brackets and is cut at the zone. */
static bool from_ipv6(ws__addr *addr, char *host) {
  char *zone = strchr(host, '%');
  if (zone != NULL) {
    *zone = '\0';
    addr->as.in6.sin6_scope_id = scope_of(zone + 1);
    if (addr->as.in6.sin6_scope_id == 0) return false;
  }
  addr->as.in6.sin6_family = AF_INET6;
  addr->len = sizeof(addr->as.in6);
  return inet_pton(AF_INET6, host, &addr->as.in6.sin6_addr) == 1;
}

static bool from_ipv4(ws__addr *addr, const char *host) {
  addr->as.in.sin_family = AF_INET;
  addr->len = sizeof(addr->as.in);
  return inet_pton(AF_INET, host, &addr->as.in.sin_addr) == 1;
}

bool ws__addr_from_ip(ws__addr *out_addr, const char *host, uint16_t port) {
  char bare[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
  const size_t len = strlen(host);
  const bool has_brackets = len >= 2 && host[0] == '[' && host[len - 1] == ']';
  const size_t bare_len = has_brackets ? len - 2 : len;
  if (bare_len >= sizeof(bare)) return false;
  memcpy(bare, has_brackets ? host + 1 : host, bare_len);
  bare[bare_len] = '\0';

  ws__addr addr = {0};
  const bool is_ip = strchr(bare, ':') != NULL
                         ? from_ipv6(&addr, bare)
                         : !has_brackets && from_ipv4(&addr, bare);
  if (!is_ip) return false;
  ws__addr_set_port(&addr, port);
  *out_addr = addr;
  return true;
}

int ws__addr_from_path(ws__addr *out_addr, const char *path) {
  const size_t len = strlen(path);
  if (len == 0) return EINVAL;
  if (len >= sizeof(out_addr->as.un.sun_path)) return ENAMETOOLONG;
  *out_addr = (ws__addr){0};
  out_addr->as.un.sun_family = AF_UNIX;
  memcpy(out_addr->as.un.sun_path, path, len + 1);
  out_addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
  return 0;
}

/* -- To text --------------------------------------------------------------- */

static void ipv6_host(const struct sockaddr_in6 *in6, char *text) {
  char host[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
  if (in6->sin6_scope_id != 0) {
    snprintf(text, WS__ADDR_TEXT_SIZE, "%s%%%lu", host,
             (unsigned long)in6->sin6_scope_id);
  } else {
    snprintf(text, WS__ADDR_TEXT_SIZE, "%s", host);
  }
}

const char *ws__addr_host(const ws__addr *addr, char text[WS__ADDR_TEXT_SIZE]) {
  switch (addr->as.any.sa_family) {
  case AF_INET:
    inet_ntop(AF_INET, &addr->as.in.sin_addr, text, WS__ADDR_TEXT_SIZE);
    break;
  case AF_INET6: ipv6_host(&addr->as.in6, text); break;
  default: text[0] = '\0'; break;
  }
  return text;
}

/* "host:port", the host in brackets if it has colons of its own. */
static void format_ip(const ws__addr *addr, char *text) {
  char host[WS__ADDR_TEXT_SIZE];
  const bool is_ipv6 = addr->as.any.sa_family == AF_INET6;
  snprintf(text, WS__ADDR_TEXT_SIZE, is_ipv6 ? "[%.100s]:%u" : "%.100s:%u",
           ws__addr_host(addr, host), (unsigned)ws__addr_port(addr));
}

/* The path of an address that comes from the system may lack its NUL. */
static void format_unix(const ws__addr *addr, char *text) {
  const size_t head = offsetof(struct sockaddr_un, sun_path);
  const size_t len = addr->len > head ? addr->len - head : 0;
  snprintf(text, WS__ADDR_TEXT_SIZE, "unix:%.*s", (int)len,
           addr->as.un.sun_path);
}

const char *ws__addr_format(const ws__addr *addr,
                            char text[WS__ADDR_TEXT_SIZE]) {
  switch (addr->as.any.sa_family) {
  case AF_INET:
  case AF_INET6: format_ip(addr, text); break;
  case AF_UNIX: format_unix(addr, text); break;
  default: snprintf(text, WS__ADDR_TEXT_SIZE, "unknown"); break;
  }
  return text;
}

uint16_t ws__addr_port(const ws__addr *addr) {
  switch (addr->as.any.sa_family) {
  case AF_INET: return ntohs(addr->as.in.sin_port);
  case AF_INET6: return ntohs(addr->as.in6.sin6_port);
  default: return 0;
  }
}

void ws__addr_set_port(ws__addr *addr, uint16_t port) {
  switch (addr->as.any.sa_family) {
  case AF_INET: addr->as.in.sin_port = htons(port); break;
  case AF_INET6: addr->as.in6.sin6_port = htons(port); break;
  default: break;
  }
}

const char *ws__errno_text(int error, char text[WS__DETAIL_SIZE]) {
  if (strerror_r(error, text, WS__DETAIL_SIZE) != 0)
    snprintf(text, WS__DETAIL_SIZE, "error %d", error);
  return text;
}
