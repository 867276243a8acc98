/* authority.c - parses and compares hosts and origins. Comparisons are of whole
 * names only: no prefix, suffix or pattern ever matches. */
#include "proto/authority.h"

#include <string.h>

#include "base/ascii.h"
#include "proto/http.h"

#define MAX_PORT 65535

static bool is_hex_digit(char c) {
  return ws__hex_value(c) >= 0;
}

/* Returns the length of the "[...]" that `text` starts with, 0 if it is not
 * IPv6 to the eye. Whether it is an address is for those to know who connect.
 */
static size_t ip_literal_len(const char *text, size_t len) {
  size_t i = 1;
  while (i < len &&
         (is_hex_digit(text[i]) || text[i] == ':' || text[i] == '.')) {
    i++;
  }
  return i > 2 && i < len && text[i] == ']' ? i + 1 : 0;
}

/* unreserved and sub-delims of RFC 3986. */
static bool is_reg_name_char(char c) {
  return ws__is_digit(c) || ws__is_letter(c) ||
         (c != '\0' && strchr("-._~!$&'()*+,;=", c) != NULL);
}

static bool is_pct_encoded(const char *text, size_t len) {
  return len >= 3 && text[0] == '%' && is_hex_digit(text[1]) &&
         is_hex_digit(text[2]);
}

/* Returns the length of the reg-name that `text` starts with (RFC 3986 3.2.2);
 * names, IPv4 addresses and what a browser makes of other letters. */
static size_t reg_name_len(const char *text, size_t len) {
  size_t i = 0;
  while (i < len) {
    if (is_reg_name_char(text[i])) i++;
    else if (is_pct_encoded(text + i, len - i)) i += 3;
    else break;
  }
  return i;
}

/* port = *DIGIT, where none at all means the default as well. */
static bool parse_port(const char *text, size_t len, ws__authority *out) {
  uint32_t port = 0;
  for (size_t i = 0; i < len; i++) {
    if (!ws__is_digit(text[i])) return false;
    port = port * 10 + (uint32_t)(text[i] - '0');
    if (port > MAX_PORT) return false;
  }
  out->has_port = len > 0;
  out->port = (uint16_t)port;
  return true;
}

bool ws__authority_parse(const char *text, size_t len, ws__authority *out) {
  *out = (ws__authority){.host = text};
  if (len == 0) return false;
  out->host_len =
      text[0] == '[' ? ip_literal_len(text, len) : reg_name_len(text, len);
  if (out->host_len == 0) return false;

  const size_t rest = len - out->host_len;
  if (rest == 0) return true;
  const char *const colon = text + out->host_len;
  return *colon == ':' && parse_port(colon + 1, rest - 1, out);
}

static bool is_same_host(const ws__authority *a, const ws__authority *b) {
  return ws__http_equal(a->host, a->host_len, b->host, b->host_len);
}

bool ws__host_is_allowed(const ws__authority *host,
                         const char *const *allowed) {
  for (; *allowed != NULL; allowed++) {
    ws__authority entry;
    if (!ws__authority_parse(*allowed, strlen(*allowed), &entry)) continue;
    if (!is_same_host(host, &entry)) continue;
    if (!entry.has_port) return true;
    if (host->has_port && host->port == entry.port) return true;
  }
  return false;
}

bool ws__origin_is_allowed(const char *origin, size_t len,
                           const char *const *allowed) {
  for (; *allowed != NULL; allowed++) {
    if (strcmp(*allowed, "*") == 0) return true;
    if (ws__http_equal(origin, len, *allowed, strlen(*allowed))) return true;
  }
  return false;
}

/* Takes `prefix` off the start of a text, ASCII case ignored. */
static bool take_prefix(const char **text, size_t *len, const char *prefix) {
  const size_t prefix_len = strlen(prefix);
  if (*len < prefix_len) return false;
  if (!ws__http_equal(*text, prefix_len, prefix, prefix_len)) return false;
  *text += prefix_len;
  *len -= prefix_len;
  return true;
}

static uint16_t port_or(const ws__authority *authority, uint16_t default_port) {
  return authority->has_port ? authority->port : default_port;
}

bool ws__origin_is_same(const char *origin, size_t len,
                        const ws__authority *host, bool is_secure) {
  const bool is_https = take_prefix(&origin, &len, "https://");
  if (!is_https && (is_secure || !take_prefix(&origin, &len, "http://"))) {
    return false;
  }
  const uint16_t default_port = is_https ? 443 : 80;
  ws__authority page;
  return ws__authority_parse(origin, len, &page) && is_same_host(&page, host) &&
         port_or(&page, default_port) == port_or(host, default_port);
}
