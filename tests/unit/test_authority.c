/* test_authority.c - Host and Origin, well-formed or not, allowed or not, from
 * blocks of exactly their size (A-32, A-41, A-42). */
#include "test.h"

#include <stdlib.h>

#include "proto/authority.h"

static char *exact_copy(const char *text, size_t len) {
  char *copy = malloc(len > 0 ? len : 1);
  assert_non_null(copy);
  memcpy(copy, text, len);
  return copy;
}

/* -- Host ------------------------------------------------------------------ */

static void hosts_are_taken_apart(void **state) {
  (void)state;
  static const struct {
    const char *text, *host;
    bool has_port;
    uint16_t port;
  } cases[] = {
      {"h", "h", false, 0},
      {"example.com", "example.com", false, 0},
      {"Example.COM.", "Example.COM.", false, 0},
      {"example.com:8080", "example.com", true, 8080},
      {"h:0", "h", true, 0},
      {"h:65535", "h", true, 65535},
      {"h:00080", "h", true, 80},
      {"h:", "h", false, 0}, /* port = *DIGIT */
      {"127.0.0.1:1", "127.0.0.1", true, 1},
      {"[::1]", "[::1]", false, 0},
      {"[::1]:80", "[::1]", true, 80},
      {"[::ffff:1.2.3.4]:9", "[::ffff:1.2.3.4]", true, 9},
      {"a_b-c~d", "a_b-c~d", false, 0},
      {"%41b", "%41b", false, 0},
      {"a!$&'()*+,;=", "a!$&'()*+,;=", false, 0},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const size_t len = strlen(cases[i].text);
    char *text = exact_copy(cases[i].text, len);
    ws__authority a;
    assert_true(ws__authority_parse(text, len, &a));
    assert_int_equal(a.host_len, strlen(cases[i].host));
    assert_memory_equal(a.host, cases[i].host, a.host_len);
    assert_int_equal(a.has_port, cases[i].has_port);
    assert_int_equal(a.port, cases[i].port);
    free(text);
  }
}

static void malformed_hosts_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",         ":",     ":80",     "h:65536",    "h:99999999999",
      "h:-1",     "h:+1",  "h:8a",    "h:80:80",    "h:80 ",
      " h",       "h ",    "a b",     "h/",         "h/a",
      "h?a",      "h#a",   "u@h",     "u:p@h",      "http://h",
      "[",        "[]",    "[::1",    "::1",        "[::1]a",
      "[::1]80",  "[g]",   "[[::1]]", "[::1%25lo]", "%",
      "%4",       "%4g",   "a%",      "a\\b",       "a|b",
      "a\"b",     "a<b",   "a^b",     "a`b",        "a{b}",
      "\xC3\xA9", "a\x80", "h\t",     "[v1.a]",     "[:",
      "h:80%41",
  };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    const size_t len = strlen(texts[i]);
    char *text = exact_copy(texts[i], len);
    ws__authority a;
    if (ws__authority_parse(text, len, &a)) fail_msg("%s", texts[i]);
    free(text);
  }
}

static void a_host_may_have_these_bytes_and_no_others(void **state) {
  (void)state;
  static const char good[] = "-._~!$&'()*+,;="
                             "0123456789abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (unsigned byte = 0; byte < 256; byte++) {
    char text[] = "h?h";
    text[1] = (char)byte;
    ws__authority a;
    const bool is_good = byte != 0 && strchr(good, (int)byte) != NULL;
    assert_int_equal(ws__authority_parse(text, 3, &a), is_good);
  }
}

static void allowed_hosts_match_whole_names(void **state) {
  (void)state;
  static const char *const allowed[] = {"example.com", "[::1]", "h:8080",
                                        "not a host", NULL};
  static const struct {
    const char *host;
    bool is_allowed;
  } cases[] = {
      {"example.com", true},
      {"EXAMPLE.com", true},
      {"example.com:81", true}, /* An entry without port is for any. */
      {"[::1]:9", true},
      {"h:8080", true},
      {"H:8080", true},
      {"h", false},
      {"h:80", false},
      {"h:80800", false},
      {"example.com.", false},
      {"evil-example.com", false},
      {"example.com.evil", false},
      {"a.example.com", false},
      {"example.co", false},
      {"xample.com", false},
      {"127.0.0.1", false},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ws__authority host;
    const bool is_good =
        ws__authority_parse(cases[i].host, strlen(cases[i].host), &host);
    assert_int_equal(is_good && ws__host_is_allowed(&host, allowed),
                     cases[i].is_allowed);
  }
  /* An HTTP/1.0 request without Host is from nowhere. */
  assert_false(ws__host_is_allowed(&(ws__authority){0}, allowed));
}

/* -- Origin (A-41) --------------------------------------------------------- */

static bool is_same(const char *origin, const char *host, bool is_secure) {
  const size_t len = strlen(origin);
  char *text = exact_copy(origin, len);
  ws__authority authority;
  assert_true(ws__authority_parse(host, strlen(host), &authority));
  const bool answer = ws__origin_is_same(text, len, &authority, is_secure);
  free(text);
  return answer;
}

static void the_same_origin_is_recognised(void **state) {
  (void)state;
  static const struct {
    const char *origin, *host;
  } cases[] = {
      {"http://example.com", "example.com"},
      {"http://example.com", "example.com:80"},
      {"http://example.com:80", "example.com"},
      {"https://example.com", "example.com"}, /* A TLS proxy before us. */
      {"https://example.com", "example.com:443"},
      {"http://example.com:8080", "example.com:8080"},
      {"HTTP://EXAMPLE.com", "example.COM"},
      {"http://[::1]:8080", "[::1]:8080"},
      {"http://xn--bcher-kva.example", "xn--bcher-kva.example"}, /* IDN. */
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    assert_true(is_same(cases[i].origin, cases[i].host, false));
    const bool is_https = cases[i].origin[4] == 's';
    assert_int_equal(is_same(cases[i].origin, cases[i].host, true), is_https);
  }
}

static void another_origin_is_refused(void **state) {
  (void)state;
  static const char *const origins[] = {
      "",
      "null",
      "http://",
      "https://",
      "example.com",
      "//example.com",
      "http:example.com",
      "ws://example.com",
      "wss://example.com",
      "file://example.com",
      "ftp://example.com",
      "chrome-extension://example.com",
      "http://example.com:8080",
      "https://example.com:8443",
      "http://example.com:443",
      "https://example.com:80",
      "http://evil-example.com",
      "http://example.com.evil.com",
      "http://a.example.com",
      "http://example.co",
      "http://example.com/",
      "http://example.com?",
      "http://example.com#",
      "http://example.com@evil.com",
      "http://evil.com@example.com",
      "http://example.com ",
      "http://example.com http://evil.com",
      "http://example.com, http://example.com",
      "http://\xC3\xBC.example",
  };
  for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
    if (is_same(origins[i], "example.com", false)) fail_msg("%s", origins[i]);
    if (is_same(origins[i], "example.com", true)) fail_msg("%s", origins[i]);
  }
}

static void listed_origins_match_as_a_whole(void **state) {
  (void)state;
  static const char *const allowed[] = {"https://example.com", "null",
                                        "http://localhost:3000", NULL};
  static const struct {
    const char *origin;
    bool is_allowed;
  } cases[] = {
      {"https://example.com", true},
      {"HTTPS://Example.com", true},
      {"http://localhost:3000", true},
      {"null", true},
      {"http://example.com", false},
      {"https://example.com:443", false},
      {"https://example.com.evil", false},
      {"https://evil-example.com", false},
      {"https://example.co", false},
      {"http://localhost", false},
      {"http://localhost:30000", false},
      {"", false},
      {"*", false},
  };
  static const char *const any[] = {"*", NULL};
  static const char *const none[] = {NULL};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const size_t len = strlen(cases[i].origin);
    char *text = exact_copy(cases[i].origin, len);
    assert_int_equal(ws__origin_is_allowed(text, len, allowed),
                     cases[i].is_allowed);
    assert_true(ws__origin_is_allowed(text, len, any));
    assert_false(ws__origin_is_allowed(text, len, none));
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hosts_are_taken_apart),
      cmocka_unit_test(malformed_hosts_are_refused),
      cmocka_unit_test(a_host_may_have_these_bytes_and_no_others),
      cmocka_unit_test(allowed_hosts_match_whole_names),
      cmocka_unit_test(the_same_origin_is_recognised),
      cmocka_unit_test(another_origin_is_refused),
      cmocka_unit_test(listed_origins_match_as_a_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
