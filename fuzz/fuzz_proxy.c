/* Proxy URLs and lists of no_proxy. The first line is the target's host, the
 * second the URL, the rest the list.
 *
 * What a URL gives can stand in a request and is given again by the URL
 * put together from it. A list that the host is added to means the host. */
#include "budget.h"
#include "proto/proxy.h"

#include <string.h>

#define HEAP_BASE    1024
#define HEAP_BY_BYTE 8
#define MAX_TEXT     4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* -- URLs ------------------------------------------------------------------ */

static bool has_control(const char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < ' ' || *text == 0x7f) return true;
  return false;
}

static void put_escaped(char *out, const char *text) {
  for (; *text != '\0'; text++) {
    snprintf(out, sizeof("%00"), "%%%02x", (unsigned)(unsigned char)*text);
    out += 3;
  }
}

/* Writes the URL of a proxy, everything escaped that can be. */
static void write_url(const ws__proxy *proxy, char *out, size_t size) {
  static const char *const schemes[] = {"http", "https", "socks5", "socks5h"};
  char user[3 * MAX_TEXT + 1] = "";
  char password[3 * MAX_TEXT + 1] = "";
  const bool is_ip6 = strchr(proxy->host, ':') != NULL;
  if (proxy->user != NULL) {
    put_escaped(user, proxy->user);
    put_escaped(password, proxy->password);
  }
  snprintf(out, size, "%s://%s:%s@%s%s%s:%u", schemes[proxy->kind], user,
           password, is_ip6 ? "[" : "", proxy->host, is_ip6 ? "]" : "",
           (unsigned)proxy->port);
}

static void check_again(const ws__proxy *proxy) {
  char url[8 * MAX_TEXT];
  ws__proxy *again = NULL;
  const char *reason;
  write_url(proxy, url, sizeof(url));
  require(ws__proxy_parse(url, strlen(url), WS__PROXY_SOCKS5, &ws__malloc,
                          &again, &reason) == 0,
          "the URL parses again");
  require(again->kind == proxy->kind, "kind again");
  require(again->port == proxy->port, "port again");
  require(strcmp(again->host, proxy->host) == 0, "host again");
  require((again->user == NULL) == (proxy->user == NULL), "login again");
  if (proxy->user != NULL) {
    require(strcmp(again->user, proxy->user) == 0, "user again");
    require(strcmp(again->password, proxy->password) == 0, "password again");
  }
  ws__proxy_free(again);
}

static void check_url(const char *text, size_t len) {
  budget b;
  budget_begin(&b);
  ws__proxy *proxy = NULL;
  const char *reason = NULL;
  const int err = ws__proxy_parse(text, len, WS__PROXY_HTTP, &b.alloc.allocator,
                                  &proxy, &reason);
  if (err == 0) {
    require(proxy->host[0] != '\0' && !has_control(proxy->host), "host");
    require(strpbrk(proxy->host, " /@%[]") == NULL, "only a host");
    require((proxy->user == NULL) == (proxy->password == NULL), "login");
    if (proxy->user != NULL) {
      require(!has_control(proxy->user), "user");
      require(!has_control(proxy->password), "password");
    }
    check_again(proxy);
  } else {
    require(err == WS_ERR_SYNTAX && proxy == NULL && reason != NULL, "error");
  }
  ws__proxy_free(proxy);
  budget_end(&b, len, HEAP_BASE, HEAP_BY_BYTE);
}

/* -- Lists ----------------------------------------------------------------- */

static bool is_direct(const char *list, const char *host, uint16_t port) {
  const char *values[WS__PROXY_VARIABLES] = {NULL};
  ws__proxy_choice choice;
  for (size_t i = 0; i < WS__PROXY_VARIABLES; i++) {
    if (strcmp(ws__proxy_variable(i), "all_proxy") == 0) values[i] = "p";
    if (strcmp(ws__proxy_variable(i), "no_proxy") == 0) values[i] = list;
  }
  const bool is_chosen = ws__proxy_choose(values, true, host, port, &choice);
  if (is_chosen) require(strcmp(choice.text, "p") == 0, "choice");
  return !is_chosen;
}

static bool is_plain_name(const char *host) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
  return host[0] != '\0' && host[0] != '.' && host[0] != '-' &&
         strspn(host, letters) == strlen(host);
}

static void check_list(const char *host, const char *list) {
  char longer[2 * MAX_TEXT + 4];
  const bool direct = is_direct(list, host, 443);
  snprintf(longer, sizeof(longer), "%s,x.invalid", list);
  if (direct) require(is_direct(longer, host, 443), "a list grows");
  if (!is_plain_name(host)) return;
  snprintf(longer, sizeof(longer), "%s,%s:443", list, host);
  require(is_direct(longer, host, 443), "the host is in the list");
  require(is_direct(longer, host, 80) == is_direct(list, host, 80),
          "another port is not");
}

/* Takes a line without its end. */
static size_t take_line(const uint8_t **data, size_t *size) {
  const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
  const size_t len = end != NULL ? (size_t)(end - *data) : *size;
  const size_t used = end != NULL ? len + 1 : len;
  *data += used;
  *size -= used;
  return len;
}

/* A block of exactly the text and a NUL. */
static char *copy_of(const uint8_t *data, size_t len) {
  char *copy = malloc(len + 1);
  require(copy != NULL, "memory");
  memcpy(copy, data, len);
  copy[len] = '\0';
  return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || size > MAX_TEXT) return 0;
  const uint8_t *line = data;
  char *host = copy_of(line, take_line(&data, &size));
  line = data;
  check_url((const char *)line, take_line(&data, &size));
  char *list = copy_of(data, size);
  check_list(host, list);
  free(list);
  free(host);
  return 0;
}
