/* test_proxy.c - proxy URLs, and the choice that the environment makes. */
#include "test.h"
#include "test_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/proxy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* -- URLs ------------------------------------------------------------------ */

/* Parses from a block of exactly `len` bytes. */
static int parse(const char *text, size_t len, ws__proxy_kind default_kind,
                 const ws_allocator *allocator, ws__proxy **out_proxy,
                 const char **reason) {
  char *copy = malloc(len > 0 ? len : 1);
  assert_non_null(copy);
  memcpy(copy, text, len);
  const int err =
      ws__proxy_parse(copy, len, default_kind, allocator, out_proxy, reason);
  free(copy);
  return err;
}

typedef struct url_case {
  const char *text;
  ws__proxy expected;
} url_case;

static const url_case good_urls[] = {
    {"http://proxy", {WS__PROXY_HTTP, 80, "proxy", NULL, NULL}},
    {"http://proxy:3128/", {WS__PROXY_HTTP, 3128, "proxy", NULL, NULL}},
    {"HTTPS://proxy", {WS__PROXY_HTTPS, 443, "proxy", NULL, NULL}},
    {"socks5://proxy", {WS__PROXY_SOCKS5, 1080, "proxy", NULL, NULL}},
    {"socks5h://proxy", {WS__PROXY_SOCKS5H, 1080, "proxy", NULL, NULL}},
    {"socks://proxy/", {WS__PROXY_SOCKS5H, 1080, "proxy", NULL, NULL}},
    {"proxy", {WS__PROXY_HTTP, 80, "proxy", NULL, NULL}},
    {"proxy:8080", {WS__PROXY_HTTP, 8080, "proxy", NULL, NULL}},
    {"u:p@proxy:8080", {WS__PROXY_HTTP, 8080, "proxy", "u", "p"}},
    {"http://proxy:", {WS__PROXY_HTTP, 80, "proxy", NULL, NULL}},
    {"http://proxy:0", {WS__PROXY_HTTP, 0, "proxy", NULL, NULL}},
    {"http://proxy:65535", {WS__PROXY_HTTP, 65535, "proxy", NULL, NULL}},
    {"http://192.0.2.1:1", {WS__PROXY_HTTP, 1, "192.0.2.1", NULL, NULL}},
    {"http://[::1]", {WS__PROXY_HTTP, 80, "::1", NULL, NULL}},
    {"socks5://[fe80::1]:9", {WS__PROXY_SOCKS5, 9, "fe80::1", NULL, NULL}},
    {"http://user:pass@p", {WS__PROXY_HTTP, 80, "p", "user", "pass"}},
    {"http://user@p", {WS__PROXY_HTTP, 80, "p", "user", ""}},
    {"http://:pass@p", {WS__PROXY_HTTP, 80, "p", "", "pass"}},
    {"http://@p", {WS__PROXY_HTTP, 80, "p", NULL, NULL}},
    {"http://:@p", {WS__PROXY_HTTP, 80, "p", NULL, NULL}},
    {"socks5://@p", {WS__PROXY_SOCKS5, 1080, "p", NULL, NULL}},
    {"http://a@b:c@d@p", {WS__PROXY_HTTP, 80, "p", "a@b", "c@d"}},
    {"http://u:a:b@p", {WS__PROXY_HTTP, 80, "p", "u", "a:b"}},
    {"http://u%40x:%3a%2F%25@p", {WS__PROXY_HTTP, 80, "p", "u@x", ":/%"}},
    {"http://u%zz:%4@p", {WS__PROXY_HTTP, 80, "p", "u%zz", "%4"}},
    {"http://\xc3\xbc:%ff@p", {WS__PROXY_HTTP, 80, "p", "\xc3\xbc", "\xff"}},
    {"socks5h://u:p@p", {WS__PROXY_SOCKS5H, 1080, "p", "u", "p"}},
    {"socks5h://%3a:p@p", {WS__PROXY_SOCKS5H, 1080, "p", ":", "p"}},
};

static void assert_same_text(const char *a, const char *b) {
  if (a == NULL || b == NULL) assert_ptr_equal(a, b);
  else assert_string_equal(a, b);
}

static void assert_same_proxy(const ws__proxy *a, const ws__proxy *b) {
  assert_int_equal(a->kind, b->kind);
  assert_int_equal(a->port, b->port);
  assert_string_equal(a->host, b->host);
  assert_same_text(a->user, b->user);
  assert_same_text(a->password, b->password);
}

static void good_urls_are_taken_apart(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(good_urls); i++) {
    const url_case *c = &good_urls[i];
    test_alloc alloc;
    test_alloc_init(&alloc);
    ws__proxy *proxy = NULL;
    const char *reason = "";
    if (parse(c->text, strlen(c->text), WS__PROXY_HTTP, &alloc.allocator,
              &proxy, &reason) != 0) {
      fail_msg("%s: %s", c->text, reason);
    }
    assert_same_proxy(proxy, &c->expected);
    ws__proxy_free(proxy);
    assert_int_equal(alloc.held, 0);
  }
}

static const struct {
  const char *text;
  const char *part_of_reason;
} bad_urls[] = {
    {"", "host of the proxy is missing"},
    {"http://", "host of the proxy is missing"},
    {"http://:80", "host of the proxy is missing"},
    {"http://u:p@", "host of the proxy is missing"},
    {"http://u:p@:80", "host of the proxy is missing"},
    {"ftp://p", "scheme"},
    {"socks4://p", "scheme"},
    {"socks4a://p", "scheme"},
    {"://p", "scheme"},
    {"ws://p", "scheme"},
    {"http:/p", "path"},
    {"http:p", "host and a port"},
    {"http://p:x", "host and a port"},
    {"http://p:65536", "host and a port"},
    {"http://p:99999999999999999999", "host and a port"},
    {"http://p:-1", "host and a port"},
    {"http://p:80:80", "host and a port"},
    {"http://::1", "host of the proxy is missing"},
    {"http://fe80::1", "host and a port"},
    {"http://[::1", "host and a port"},
    {"http://[::1]80", "host and a port"},
    {"http://[1.2.3.4]", "not an IPv6 address"},
    {"http://[1:2]", "not an IPv6 address"},
    {"http://[::1%251]", "host and a port"},
    {"http://p%41", "percent"},
    {"http://p\xc3\xbc", "host and a port"},
    {"http://p<", "host and a port"},
    {"http://p//", "path"},
    {"http://p/x", "path"},
    {"http://p?x", "path"},
    {"http://p#x", "path"},
    {"http://p/@q", "path"},
    {"http://u:a/b@p", "path"},
    {" http://p", "space or control"},
    {"http://p\n", "space or control"},
    {"http://p\r\nX: y", "space or control"},
    {"http://u: @p", "space or control"},
    {"http://u:\x7f@p", "space or control"},
    {"http://u%0d%0a:p@p", "control character"},
    {"http://u:%00@p", "control character"},
    {"socks5://%00:p@p", "control character"},
    {"http://u%3au:p@p", "colon"},
    {"https://%3a@p", "colon"},
    {"socks5://u@p", "1 to 255 bytes"},
    {"socks5://u:@p", "1 to 255 bytes"},
    {"socks5h://:p@p", "1 to 255 bytes"},
};

/* A-38. */
static void bad_urls_are_refused_and_the_reason_is_named(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(bad_urls); i++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    ws__proxy *proxy = NULL;
    const char *reason = "";
    const char *text = bad_urls[i].text;
    const int err = parse(text, strlen(text), WS__PROXY_HTTP, &alloc.allocator,
                          &proxy, &reason);
    if (err != WS_ERR_SYNTAX) fail_msg("'%s' gives %d", text, err);
    if (strstr(reason, bad_urls[i].part_of_reason) == NULL) {
      fail_msg("'%s': %s", text, reason);
    }
    assert_null(proxy);
    assert_int_equal(alloc.held, 0);
  }
}

/* A-38: a proxy URL is in no case the way into a request. */
static void every_byte_at_every_place_is_harmless(void **state) {
  (void)state;
  static const char text[] = "http://us:pw@host:80/";
  const size_t len = sizeof(text) - 1;
  for (size_t at = 0; at < len; at++) {
    for (unsigned byte = 0; byte <= UINT8_MAX; byte++) {
      char changed[sizeof(text)];
      memcpy(changed, text, sizeof(text));
      changed[at] = (char)byte;
      ws__proxy *proxy = NULL;
      const char *reason = NULL;
      const int err =
          parse(changed, len, WS__PROXY_HTTP, &ws__malloc, &proxy, &reason);
      const bool is_control = byte <= ' ' || byte == 0x7f;
      assert_true(err == 0 || err == WS_ERR_SYNTAX);
      if (is_control) assert_int_equal(err, WS_ERR_SYNTAX);
      if (err != 0) assert_non_null(reason);
      ws__proxy_free(proxy);
    }
  }
}

static void a_text_without_scheme_has_the_kind_that_is_asked_for(void **state) {
  (void)state;
  static const uint16_t ports[] = {80, 443, 1080, 1080};
  for (unsigned kind = WS__PROXY_HTTP; kind <= WS__PROXY_SOCKS5H; kind++) {
    ws__proxy *proxy;
    const char *reason;
    assert_int_equal(
        parse("p", 1, (ws__proxy_kind)kind, &ws__malloc, &proxy, &reason), 0);
    assert_int_equal(proxy->kind, kind);
    assert_int_equal(proxy->port, ports[kind]);
    ws__proxy_free(proxy);
  }
}

/* RFC 1929 2. */
static void socks_credentials_have_1_to_255_bytes(void **state) {
  (void)state;
  for (size_t user_len = 255; user_len <= 256; user_len++) {
    for (size_t password_len = 255; password_len <= 256; password_len++) {
      char text[600] = "socks5://";
      size_t len = strlen(text);
      memset(text + len, 'u', user_len);
      len += user_len;
      text[len++] = ':';
      memset(text + len, 'p', password_len);
      len += password_len;
      memcpy(text + len, "@h", 2);
      len += 2;
      ws__proxy *proxy = NULL;
      const char *reason;
      const int err =
          parse(text, len, WS__PROXY_HTTP, &ws__malloc, &proxy, &reason);
      const bool is_good = user_len == 255 && password_len == 255;
      assert_int_equal(err, is_good ? 0 : WS_ERR_SYNTAX);
      ws__proxy_free(proxy);
    }
  }
}

static void every_failing_allocation_is_reported(void **state) {
  (void)state;
  char text[2000] = "http://";
  memset(text + strlen(text), 'u', 500); /* More than a new buffer has. */
  strcat(text, ":password@proxy.example:8080");
  for (size_t n = 0;; n++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    alloc.fail_at = n;
    ws__proxy *proxy = NULL;
    const char *reason;
    const int err = parse(text, strlen(text), WS__PROXY_HTTP, &alloc.allocator,
                          &proxy, &reason);
    assert_int_equal(err, alloc.calls > n ? WS_ERR_NO_MEMORY : 0);
    ws__proxy_free(proxy);
    assert_int_equal(alloc.held, 0);
    if (alloc.calls <= n) break;
  }
}

/* -- The environment ------------------------------------------------------- */

/* Chooses with an environment of "name=value" texts, NULL-terminated. */
static bool choose(const char *const *env, bool is_secure, const char *host,
                   uint16_t port, ws__proxy_choice *out) {
  const char *values[WS__PROXY_VARIABLES];
  for (size_t i = 0; i < WS__PROXY_VARIABLES; i++) {
    const char *const name = ws__proxy_variable(i);
    const size_t len = strlen(name);
    values[i] = NULL;
    for (size_t j = 0; env[j] != NULL; j++) {
      if (strncmp(env[j], name, len) == 0 && env[j][len] == '=') {
        values[i] = env[j] + len + 1;
      }
    }
  }
  return ws__proxy_choose(values, is_secure, host, port, out);
}

/* What comes of an environment, "" for no proxy. */
static const struct {
  const char *env[6];
  const char *for_ws;
  const char *for_wss;
} environments[] = {
    {{NULL}, "", ""},
    {{"ws_proxy=a"}, "a", ""},
    {{"WS_PROXY=a"}, "a", ""},
    {{"wss_proxy=a"}, "", "a"},
    {{"WSS_PROXY=a"}, "", "a"},
    {{"socks_proxy=a"}, "a", "a"},
    {{"SOCKS_PROXY=a"}, "a", "a"},
    {{"https_proxy=a"}, "a", "a"},
    {{"HTTPS_PROXY=a"}, "a", "a"},
    {{"http_proxy=a"}, "a", ""},
    {{"HTTP_PROXY=a"}, "", ""}, /* CVE-2016-5385. */
    {{"all_proxy=a"}, "a", "a"},
    {{"ALL_PROXY=a"}, "a", "a"},
    {{"ftp_proxy=a", "Https_Proxy=b"}, "", ""},
    {{"http_proxy=", "ALL_PROXY=a"}, "a", "a"},
    {{"https_proxy=", "HTTPS_PROXY=a"}, "a", "a"},
    {{"https_proxy=a", "HTTPS_PROXY=b"}, "a", "a"},
    {{"http_proxy=a", "https_proxy=b", "all_proxy=c"}, "b", "b"},
    {{"http_proxy=a", "https_proxy=b", "socks_proxy=c"}, "c", "c"},
    {{"http_proxy=a", "all_proxy=b"}, "a", "b"},
    {{"ws_proxy=a", "wss_proxy=b", "SOCKS_PROXY=c", "https_proxy=d"}, "a", "b"},
    {{"http_proxy=a", "no_proxy=example.org"}, "", ""},
    {{"http_proxy=a", "NO_PROXY=example.org"}, "", ""},
    {{"http_proxy=a", "no_proxy=x", "NO_PROXY=*"}, "a", ""},
    {{"http_proxy=a", "no_proxy=", "NO_PROXY=*"}, "", ""},
    {{"no_proxy=x"}, "", ""},
};

static void the_environment_decides_by_its_order(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(environments); i++) {
    for (int is_secure = 0; is_secure <= 1; is_secure++) {
      const char *expected =
          is_secure ? environments[i].for_wss : environments[i].for_ws;
      ws__proxy_choice choice = {.text = ""};
      const bool is_chosen =
          choose(environments[i].env, is_secure, "example.org", 80, &choice);
      assert_int_equal(is_chosen, expected[0] != '\0');
      assert_string_equal(choice.text, expected);
    }
  }
}

static void the_choice_names_its_variable_and_kind(void **state) {
  (void)state;
  ws__proxy_choice choice;
  assert_true(
      choose((const char *[]){"SOCKS_PROXY=h", NULL}, true, "x", 1, &choice));
  assert_string_equal(choice.variable, "SOCKS_PROXY");
  assert_int_equal(choice.default_kind, WS__PROXY_SOCKS5H);
  assert_true(
      choose((const char *[]){"https_proxy=h", NULL}, true, "x", 1, &choice));
  assert_string_equal(choice.variable, "https_proxy");
  assert_int_equal(choice.default_kind, WS__PROXY_HTTP);
}

static const struct {
  const char *no_proxy;
  const char *host;
  uint16_t port;
  bool is_direct;
} lists[] = {
    {"", "example.com", 80, false},
    {"*", "example.com", 80, true},
    {"a, *", "::2", 80, true},
    {"*x", "example.com", 80, false},
    {"*.*", "example.com", 80, false},
    {"example.com", "example.com", 80, true},
    {"EXAMPLE.com", "example.COM", 80, true},
    {"example.com", "a.b.example.com", 80, true},
    {"example.com", "nonexample.com", 80, false},
    {"example.com", "example.com.org", 80, false},
    {"example.com", "com", 80, false},
    {"com", "example.com", 80, true},
    {".example.com", "example.com", 80, true},
    {".example.com", "www.example.com", 80, true},
    {".example.com", "nonexample.com", 80, false},
    {"*.example.com", "www.example.com", 80, true},
    {"*.example.com", "example.com", 80, true},
    {"*.example.com", "nonexample.com", 80, false},
    {"..example.com", "example.com", 80, false},
    {"example.com.", "example.com", 80, true},
    {"example.com", "example.com.", 80, true},
    {".", "example.com", 80, false},
    {".", "example.com.", 80, false},
    {"*.", "example.com", 80, false},
    {"a,b,example.com", "example.com", 80, true},
    {" a , \t example.com , b", "example.com", 80, true},
    {"a b example.com", "example.com", 80, true},
    {",,,example.com,", "example.com", 80, true},
    {"a,,b", "example.com", 80, false},
    {"example.com:80", "example.com", 80, true},
    {"example.com:80", "www.example.com", 80, true},
    {"example.com:80", "example.com", 443, false},
    {"example.com:", "example.com", 443, true},
    {"example.com:x", "example.com", 80, false},
    {"example.com:65616", "example.com", 80, false},
    {"http://example.com", "example.com", 80, false},
    {"10.1.2.3", "10.1.2.3", 80, true},
    {"10.1.2.3", "10.1.2.30", 80, false},
    {"10.1.2.3:80", "10.1.2.3", 80, true},
    {"10.1.2.3:81", "10.1.2.3", 80, false},
    {"2.3", "10.1.2.3", 80, false},
    {".3", "10.1.2.3", 80, false},
    {"10.0.0.0/8", "10.1.2.3", 80, true},
    {"10.0.0.0/8", "11.1.2.3", 80, false},
    {"10.1.2.0/23", "10.1.3.255", 80, true},
    {"10.1.2.0/23", "10.1.4.0", 80, false},
    {"10.1.2.3/32", "10.1.2.3", 80, true},
    {"10.1.2.3/32", "10.1.2.2", 80, false},
    {"0.0.0.0/0", "10.1.2.3", 80, true},
    {"0.0.0.0/0", "fd00::1", 80, false},
    {"0.0.0.0/0", "example.com", 80, false},
    {"10.0.0.0/33", "10.0.0.0", 80, false},
    {"10.0.0.0/", "10.0.0.0", 80, false},
    {"10.0.0.0/-8", "10.0.0.0", 80, false},
    {"10.0.0.0/8x", "10.0.0.0", 80, false},
    {"10.0.0.0/4294967304", "10.0.0.0", 80, false},
    {"10/8", "10.0.0.0", 80, false},
    {"/8", "10.0.0.0", 80, false},
    {"/0", "example.com", 80, false},
    {"fd00::/8", "fd12::1", 80, true},
    {"fd00::/8", "fe00::1", 80, false},
    {"::/0", "fe00::1", 80, true},
    {"2001:db8::1/128", "2001:db8::1", 80, true},
    {"2001:db8::1/129", "2001:db8::1", 80, false},
    {"2001:DB8:0:0::1", "2001:db8::1", 80, true},
    {"[2001:db8::1]", "2001:db8::1", 80, true},
    {"[2001:db8::1]:80", "2001:db8::1", 80, true},
    {"[2001:db8::1]:81", "2001:db8::1", 80, false},
    {"[2001:db8::1", "2001:db8::1", 80, false},
    {"[fd00::/8]", "fd00::1", 80, false},
    {"\xff\x01%%%", "example.com", 80, false},
    /* Loopback, whatever the list says. */
    {"", "localhost", 80, true},
    {"", "LocalHost", 80, true},
    {"", "localhost.", 80, true},
    {"", "a.localhost", 80, true},
    {"", "notlocalhost", 80, false},
    {"", "localhost.example", 80, false},
    {"", "127.0.0.1", 80, true},
    {"", "127.255.0.1", 80, true},
    {"", "128.0.0.1", 80, false},
    {"", "::1", 80, true},
    {"", "::2", 80, false},
    {"", "::", 80, false},
    {"", "", 80, false},
};

static void no_proxy_names_what_is_reached_directly(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(lists); i++) {
    char value[100];
    const int len =
        snprintf(value, sizeof(value), "no_proxy=%s", lists[i].no_proxy);
    char *exact = malloc((size_t)len + 1);
    assert_non_null(exact);
    memcpy(exact, value, (size_t)len + 1);
    const char *const env[] = {"all_proxy=p", exact, NULL};
    ws__proxy_choice choice;
    if (choose(env, false, lists[i].host, lists[i].port, &choice) ==
        lists[i].is_direct) {
      fail_msg("no_proxy=%s for %s:%u", lists[i].no_proxy, lists[i].host,
               (unsigned)lists[i].port);
    }
    free(exact);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_urls_are_taken_apart),
      cmocka_unit_test(bad_urls_are_refused_and_the_reason_is_named),
      cmocka_unit_test(every_byte_at_every_place_is_harmless),
      cmocka_unit_test(a_text_without_scheme_has_the_kind_that_is_asked_for),
      cmocka_unit_test(socks_credentials_have_1_to_255_bytes),
      cmocka_unit_test(every_failing_allocation_is_reported),
      cmocka_unit_test(the_environment_decides_by_its_order),
      cmocka_unit_test(the_choice_names_its_variable_and_kind),
      cmocka_unit_test(no_proxy_names_what_is_reached_directly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
