/* proxy_choose.c - the choice the environment makes. The rules are in proxy.h;
 * one pass over the list of no_proxy, no memory. */
#include <string.h>

#include "base/ascii.h"
#include "proto/authority.h"
#include "proto/http.h"
#include "proto/ip.h"
#include "proto/proxy.h"

#define NO_PROXY_LOWER (WS__PROXY_VARIABLES - 2)
#define NO_PROXY_UPPER (WS__PROXY_VARIABLES - 1)

/* Which targets a variable names the proxy for. */
typedef enum scope {
  FOR_NONE = 0,
  FOR_WS = 1,
  FOR_WSS = 2,
  FOR_BOTH = FOR_WS | FOR_WSS
} scope;

/* In the order of preference. */
static const struct {
  const char *name;
  scope scope;
  ws__proxy_kind default_kind;
} variables[WS__PROXY_VARIABLES] = {
    {"ws_proxy", FOR_WS, WS__PROXY_HTTP},
    {"WS_PROXY", FOR_WS, WS__PROXY_HTTP},
    {"wss_proxy", FOR_WSS, WS__PROXY_HTTP},
    {"WSS_PROXY", FOR_WSS, WS__PROXY_HTTP},
    {"socks_proxy", FOR_BOTH, WS__PROXY_SOCKS5H},
    {"SOCKS_PROXY", FOR_BOTH, WS__PROXY_SOCKS5H},
    {"https_proxy", FOR_BOTH, WS__PROXY_HTTP},
    {"HTTPS_PROXY", FOR_BOTH, WS__PROXY_HTTP},
    {"http_proxy", FOR_WS, WS__PROXY_HTTP},
    {"all_proxy", FOR_BOTH, WS__PROXY_HTTP},
    {"ALL_PROXY", FOR_BOTH, WS__PROXY_HTTP},
    [NO_PROXY_LOWER] = {.name = "no_proxy"},
    [NO_PROXY_UPPER] = {.name = "NO_PROXY"},
};

const char *ws__proxy_variable(size_t i) {
  return variables[i].name;
}

/* What is to be reached. */
typedef struct target {
  const char *host;
  size_t host_len; /* Without the dot of a complete name. */
  uint16_t port;
  ws__ip ip; /* Has no length if the host is a name. */
} target;

static bool is_set(const char *value) {
  return value != NULL && value[0] != '\0';
}

/* -- Hosts ----------------------------------------------------------------- */

static size_t len_without_dot(const char *name, size_t len) {
  return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

/* Whether the target is the domain or below it. */
static bool is_within(const target *t, const char *domain, size_t len) {
  if (t->ip.len != 0 || len == 0 || len > t->host_len) return false;
  const size_t start = t->host_len - len;
  return ws__http_equal(t->host + start, len, domain, len) &&
         (start == 0 || t->host[start - 1] == '.');
}

static bool is_in_net(const target *t, const ws__ip *net, unsigned bits) {
  return t->ip.len != 0 && ws__ip_is_same_net(&t->ip, net, bits);
}

static bool is_loopback(const target *t) {
  static const ws__ip net4 = {WS__IP4_SIZE, {127}};
  static const ws__ip host6 = {WS__IP6_SIZE, {[WS__IP6_SIZE - 1] = 1}};
  return is_within(t, "localhost", strlen("localhost")) ||
         is_in_net(t, &net4, 8) || is_in_net(t, &host6, 8 * WS__IP6_SIZE);
}

/* -- The entries of no_proxy ----------------------------------------------- */

/* The number of a net's leading bits, or -1. */
static int parse_bits(const char *text, size_t len, unsigned max) {
  unsigned bits = 0;
  for (size_t i = 0; i < len; i++) {
    if (!ws__is_digit(text[i])) return -1;
    bits = bits * 10 + (unsigned)(text[i] - '0');
    if (bits > max) return -1;
  }
  return len > 0 ? (int)bits : -1;
}

/* "ADDRESS/BITS" */
static bool net_matches(const char *entry, size_t len, const char *slash,
                        const target *t) {
  const size_t ip_len = (size_t)(slash - entry);
  const ws__ip net = ws__ip_parse(entry, ip_len);
  const int bits = parse_bits(slash + 1, len - ip_len - 1, 8u * net.len);
  return net.len != 0 && bits >= 0 && is_in_net(t, &net, (unsigned)bits);
}

/* `len` is not 0. */
static bool name_matches(const char *name, size_t len, const target *t) {
  if (len > 1 && name[0] == '*' && name[1] == '.') {
    name++;
    len--;
  }
  if (name[0] == '.') {
    name++;
    len--;
  }
  return is_within(t, name, len_without_dot(name, len));
}

/* "HOST", "HOST:PORT", and IPv6 with its brackets. */
static bool authority_matches(const char *entry, size_t len, const target *t) {
  ws__authority authority;
  if (!ws__authority_parse(entry, len, &authority)) return false;
  if (authority.has_port && authority.port != t->port) return false;

  const size_t bracket = authority.host[0] == '[' ? 1 : 0;
  const ws__ip ip =
      ws__ip_parse(authority.host + bracket, authority.host_len - 2 * bracket);
  if (ip.len != 0) return is_in_net(t, &ip, 8u * ip.len);
  return name_matches(authority.host, authority.host_len, t);
}

static bool entry_matches(const char *entry, size_t len, const target *t) {
  if (len == 1 && entry[0] == '*') return true;
  const char *const slash = memchr(entry, '/', len);
  if (slash != NULL) return net_matches(entry, len, slash, t);
  const ws__ip ip = ws__ip_parse(entry, len);
  if (ip.len != 0) return is_in_net(t, &ip, 8u * ip.len);
  return authority_matches(entry, len, t);
}

static bool list_matches(const char *list, const target *t) {
  static const char dividers[] = ", \t\r\n";
  for (list += strspn(list, dividers); *list != '\0';
       list += strspn(list, dividers)) {
    const size_t len = strcspn(list, dividers);
    if (entry_matches(list, len, t)) return true;
    list += len;
  }
  return false;
}

bool ws__proxy_choose(const char *const values[WS__PROXY_VARIABLES],
                      bool is_secure, const char *host, uint16_t port,
                      ws__proxy_choice *out_choice) {
  const size_t host_len = strlen(host);
  const target t = {host, len_without_dot(host, host_len), port,
                    ws__ip_parse(host, host_len)};
  const char *const no_proxy = is_set(values[NO_PROXY_LOWER])
                                   ? values[NO_PROXY_LOWER]
                                   : values[NO_PROXY_UPPER];
  if (is_loopback(&t)) return false;
  if (no_proxy != NULL && list_matches(no_proxy, &t)) return false;

  const scope wanted = is_secure ? FOR_WSS : FOR_WS;
  for (size_t i = 0; i < WS__PROXY_VARIABLES; i++) {
    if ((variables[i].scope & wanted) == 0 || !is_set(values[i])) continue;
    *out_choice = (ws__proxy_choice){variables[i].name, values[i],
                                     variables[i].default_kind};
    return true;
  }
  return false;
}
