/* Parses any bytes as a URL. What comes out parses to itself, holds together,
 * cannot break a request, and the memory stays in proportion. */
#include "budget.h"
#include "ws/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One byte becomes at most three, in href and again in target; the buffer of
 * the strings may hold twice of it while the block is made. */
#define HEAP_PER_BYTE 40
#define HEAP_BASE     2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_printable(const char *text) {
  for (; *text != '\0'; text++) {
    if (*text <= ' ' || *text > '~') return false;
  }
  return true;
}

static bool is_same(const char *a, const char *b) {
  if (a == NULL || b == NULL) return a == b;
  return strcmp(a, b) == 0;
}

static void check_request_parts(const ws_url *url) {
  require(is_printable(url->host), "host is printable");
  require(is_printable(url->authority), "authority is printable");
  require(is_printable(url->origin), "origin is printable");
  require(is_printable(url->target), "target is printable");
  require(url->target[0] == '/', "target starts with a slash");
  require(strchr(url->target, '#') == NULL, "target has no fragment");
  require(url->host[0] != '\0', "host is not empty");
  if (url->authorization != NULL) {
    require(strncmp(url->authorization, "Basic ", 6) == 0, "Basic");
    require(is_printable(url->authorization + 6), "credentials are printable");
  }
}

/* href, origin and authority are made of the other parts. */
static void check_composition(const ws_url *url) {
  const char *const scheme = url->is_secure ? "wss://" : "ws://";
  const size_t scheme_len = strlen(scheme);
  require(is_printable(url->href), "href is printable");
  require(strncmp(url->href, scheme, scheme_len) == 0, "scheme of href");
  require(strncmp(url->origin, scheme, scheme_len) == 0, "scheme of origin");
  require(is_same(url->origin + scheme_len, url->authority), "origin");

  const bool is_ipv6 = strchr(url->host, ':') != NULL;
  const bool is_default = url->port == (url->is_secure ? 443 : 80);
  char port[sizeof(":65535")] = "";
  if (!is_default) snprintf(port, sizeof(port), ":%u", (unsigned)url->port);
  const size_t host_len = strlen(url->host);
  const char *host = url->authority + is_ipv6;
  require(strncmp(host, url->host, host_len) == 0, "host of authority");
  require(!is_ipv6 || host[host_len] == ']', "brackets of authority");
  require(is_same(host + host_len + is_ipv6, port), "port of authority");
}

static void check_idempotence(const ws_url *url) {
  ws_url *again = NULL;
  require(ws_url_parse(url->href, strlen(url->href), NULL, &again, NULL) == 0,
          "href parses");
  require(is_same(again->href, url->href), "href again");
  require(is_same(again->origin, url->origin), "origin again");
  require(is_same(again->host, url->host), "host again");
  require(is_same(again->authority, url->authority), "authority again");
  require(is_same(again->target, url->target), "target again");
  require(is_same(again->authorization, url->authorization),
          "authorization again");
  require(is_same(again->unix_path, url->unix_path), "unix_path again");
  require(again->port == url->port, "port again");
  require(again->is_secure == url->is_secure, "is_secure again");
  ws_url_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  budget b;
  budget_begin(&b);
  ws_url *url = NULL;
  const char *reason = NULL;
  const int err =
      ws_url_parse((const char *)data, size, &b.alloc.allocator, &url, &reason);
  if (err == 0) {
    check_request_parts(url);
    if (url->unix_path == NULL) check_composition(url);
    check_idempotence(url);
  } else {
    require(err == WS_ERR_SYNTAX && url == NULL, "error");
    require(reason != NULL && reason[0] != '\0', "reason");
  }
  ws_url_free(url);
  budget_end(&b, size, HEAP_BASE, HEAP_PER_BYTE);
  return 0;
}
