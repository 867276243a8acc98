/* URLs, by the rows of section A of the behaviour table and by the parts of the
 * WHATWG URL standard. Every text is handed over in a block of exactly its
 * size, without a NUL. */
#include "test.h"

#include "test_alloc.h"
#include "ws/url.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int parse_bytes(const char *text, size_t len, ws_url **out_url,
                       const char **out_reason) {
  char *copy = malloc(len + (len == 0));
  assert_non_null(copy);
  memcpy(copy, text, len);
  const int err = ws_url_parse(copy, len, NULL, out_url, out_reason);
  free(copy);
  return err;
}

static ws_url *parse(const char *text) {
  ws_url *url = NULL;
  const char *reason = "";
  if (parse_bytes(text, strlen(text), &url, &reason) != 0) {
    fail_msg("%s is refused: %s", text, reason);
  }
  return url;
}

static void assert_href(const char *text, const char *href) {
  ws_url *url = parse(text);
  assert_string_equal(url->href, href);
  ws_url *again = parse(href);
  assert_string_equal(again->href, href);
  ws_url_free(again);
  ws_url_free(url);
}

static void assert_refused_bytes(const char *text, size_t len,
                                 const char *reason) {
  ws_url *url = NULL;
  const char *why = NULL;
  const int err = parse_bytes(text, len, &url, &why);
  if (err == 0) fail_msg("%.*s is accepted", (int)len, text);
  assert_int_equal(err, WS_ERR_SYNTAX);
  assert_null(url);
  assert_string_equal(why, reason);
}

static void assert_refused(const char *text, const char *reason) {
  assert_refused_bytes(text, strlen(text), reason);
}

typedef struct href_case {
  const char *text;
  const char *href;
} href_case;

static void assert_hrefs(const href_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    assert_href(cases[i].text, cases[i].href);
  }
}

static void assert_all_refused(const char *const *texts, size_t count,
                               const char *reason) {
  for (size_t i = 0; i < count; i++)
    assert_refused(texts[i], reason);
}

#define NOT_ABSOLUTE   "the URL is not absolute (no scheme such as ws:)"
#define BAD_SCHEME     "the scheme is not ws, wss, http, https or ws+unix"
#define HAS_FRAGMENT   "a fragment (#) is not allowed"
#define NO_HOST        "the host is missing"
#define BAD_PORT       "the port is not a number up to 65535"
#define BAD_CHARACTER  "the host has a character that is not allowed in it"
#define BAD_IPV4       "the host ends in a number but is not an IPv4 address"
#define BAD_IPV6       "the host in brackets is not an IPv6 address"
#define BAD_IDN        "the host is not a valid international domain name"
#define NO_IDN         "this build has no international domain names (libidn2)"
#define NOT_UTF8       "the URL is not valid UTF-8"
#define HAS_CONTROL    "the URL has a control character"
#define NO_SOCKET_PATH "the path of the Unix socket is missing"

/* -- The parts of the result ----------------------------------------------- */

static void every_part_of_a_url(void **state) {
  (void)state;
  ws_url *url = parse("wss://u:p@Example.com:8443/chat?room=1");
  assert_string_equal(url->href, "wss://u:p@example.com:8443/chat?room=1");
  assert_string_equal(url->origin, "wss://example.com:8443");
  assert_string_equal(url->host, "example.com");
  assert_string_equal(url->authority, "example.com:8443");
  assert_string_equal(url->target, "/chat?room=1");
  assert_string_equal(url->authorization, "Basic dTpw");
  assert_null(url->unix_path);
  assert_int_equal(url->port, 8443);
  assert_true(url->is_secure);
  ws_url_free(url);
}

static void default_ports_are_filled_in_and_left_out(void **state) {
  (void)state;
  ws_url *url = parse("ws://h:80");
  assert_string_equal(url->origin, "ws://h");
  assert_string_equal(url->authority, "h");
  assert_string_equal(url->target, "/");
  assert_null(url->authorization);
  assert_int_equal(url->port, 80);
  assert_false(url->is_secure);
  ws_url_free(url);

  url = parse("wss://h/");
  assert_string_equal(url->authority, "h");
  assert_int_equal(url->port, 443);
  assert_true(url->is_secure);
  ws_url_free(url);
}

static void an_ipv6_host_has_brackets_in_the_authority_alone(void **state) {
  (void)state;
  ws_url *url = parse("ws://[0:0::1]:81/");
  assert_string_equal(url->host, "::1");
  assert_string_equal(url->authority, "[::1]:81");
  assert_string_equal(url->origin, "ws://[::1]:81");
  ws_url_free(url);
}

/* Row 33, and "'?' if the query component is non-empty" (RFC 6455 section 3).
 */
static void an_empty_query_is_shown_but_not_sent(void **state) {
  (void)state;
  ws_url *url = parse("ws://h/?");
  assert_string_equal(url->href, "ws://h/?");
  assert_string_equal(url->target, "/");
  ws_url_free(url);

  url = parse("ws://h/a??");
  assert_string_equal(url->href, "ws://h/a??");
  assert_string_equal(url->target, "/a??");
  ws_url_free(url);
}

static void assert_authorization(const char *text, const char *href,
                                 const char *authorization) {
  ws_url *url = parse(text);
  assert_string_equal(url->href, href);
  if (authorization == NULL) {
    assert_null(url->authorization);
  } else {
    assert_non_null(url->authorization);
    assert_string_equal(url->authorization, authorization);
  }
  ws_url_free(url);
}

/* Rows 30 and 31. */
static void userinfo_becomes_basic_credentials(void **state) {
  (void)state;
  assert_authorization("ws://foo:bar@127.0.0.1:9/", "ws://foo:bar@127.0.0.1:9/",
                       "Basic Zm9vOmJhcg==");
  assert_authorization("ws://u:p%40x@h/", "ws://u:p%40x@h/",
                       "Basic dTpwQHg="); /* u:p@x */
  assert_authorization("ws://a@b:c:d@h/", "ws://a%40b:c%3Ad@h/",
                       "Basic YUBiOmM6ZA==");                    /* a@b:c:d */
  assert_authorization("ws://u@h", "ws://u@h/", "Basic dTo=");   /* u: */
  assert_authorization("ws://u:@h", "ws://u@h/", "Basic dTo=");  /* u: */
  assert_authorization("ws://:p@h", "ws://:p@h/", "Basic OnA="); /* :p */
  assert_authorization("ws://@h", "ws://h/", NULL);
  assert_authorization("ws://:@h", "ws://h/", NULL);
  assert_authorization("ws://%00%:é@h/", "ws://%00%:%C3%A9@h/",
                       "Basic ACU6w6k="); /* NUL, "%:", e acute in UTF-8 */
}

static void userinfo_is_percent_encoded(void **state) {
  (void)state;
  assert_href("ws:// \"<>`{}|;=[]^'!$&()*+,-._~:@h/",
              "ws://%20%22%3C%3E%60%7B%7D%7C%3B%3D%5B%5D%5E'!$&()*+,-._~@h/");
}

/* -- The scheme ------------------------------------------------------------ */

static void schemes_that_are_ours(void **state) {
  (void)state;
  static const href_case cases[] = {
      /* Rows 4 and 5. */
      {"ws://h.example:8080", "ws://h.example:8080/"},
      {"WS://127.0.0.1:9/echo", "ws://127.0.0.1:9/echo"},
      {"wSs://h/", "wss://h/"},
      /* Rows 15 and 16. */
      {"http://h/", "ws://h/"},
      {"https://h:443/x", "wss://h/x"},
      {"http://h:80/?a", "ws://h/?a"},
      {"HTTPS://h:80", "wss://h:80/"},
  };
  assert_hrefs(cases, COUNT(cases));
}

/* Row 14. */
static void other_schemes_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ftp://h/",  "mailto:a@b.org", "about:blank", "wsx://h/",
      "file:///x", "w://h/",         "ws+://h/",    "blob:ws://h/",
      "h:80",      "javascript:1",   "ws s://h/",   "ws%3A://h/",
  };
  assert_all_refused(texts, COUNT(texts), BAD_SCHEME);
}

/* Row 18. */
static void what_has_no_scheme_is_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "test", "/x", "?q", "//h/x", "ws", "ws//h", ":", "://h/", "?ws://h/",
      "/ws://h/", "\\ws://h/",
      /* Row 20, second half: without a base this is no URL at all. */
      "#test", "#ws:"};
  assert_all_refused(texts, COUNT(texts), NOT_ABSOLUTE);
  assert_refused("", "the URL is empty");
  assert_refused(" \t\n", "the URL is empty");
}

/* Row 17: any number of slashes of either kind may follow the scheme. */
static void slashes_after_the_scheme_do_not_count(void **state) {
  (void)state;
  static const href_case cases[] = {
      {"ws:127.0.0.1:9/echo", "ws://127.0.0.1:9/echo"},
      {"ws:/127.0.0.1:9/echo", "ws://127.0.0.1:9/echo"},
      {"ws:\\\\127.0.0.1:9\\echo", "ws://127.0.0.1:9/echo"},
      {"ws:///h/x", "ws://h/x"},
      {"ws:/\\//\\h\\x", "ws://h/x"},
  };
  assert_hrefs(cases, COUNT(cases));
}

/* Row 20: also the empty one. */
static void fragments_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws://h/#f", "ws://h/#",   "ws://h/?q#", "ws://h#",       "ws://u#@h/",
      "ws:#",      "ws://h:8#0", "http://h/#", "ws+unix:/s:/#f"};
  assert_all_refused(texts, COUNT(texts), HAS_FRAGMENT);
}

/* Row 28, A-38. */
static void blanks_around_and_line_ends_inside_vanish(void **state) {
  (void)state;
  static const href_case cases[] = {
      {"  ws://h/ \n", "ws://h/"},
      {"ws://h/a\tb\nc", "ws://h/abc"},
      {"\x01\x1f w\ts\r:\n/\t/h\n:\r8\t1/\x1f", "ws://h:81/"},
      {"ws://h/a b", "ws://h/a%20b"},
      {"ws://h/%\t4\n1", "ws://h/%41"},
      {"ws://h/.\t./x", "ws://h/x"},
      {"ws://h/a\r\nX: y", "ws://h/aX:%20y"},
  };
  assert_hrefs(cases, COUNT(cases));
}

/* -- Path and query -------------------------------------------------------- */

static void dot_segments_are_resolved(void **state) {
  (void)state;
  static const href_case cases[] = {
      {"ws://h/a/../b/./c", "ws://h/b/c"}, /* Row 22. */
      {"ws://h", "ws://h/"},
      {"ws://h?q", "ws://h/?q"},
      {"ws://h/..", "ws://h/"},
      {"ws://h/../../x", "ws://h/x"},
      {"ws://h/.", "ws://h/"},
      {"ws://h/./", "ws://h/"},
      {"ws://h/a/.", "ws://h/a/"},
      {"ws://h/a/..", "ws://h/"},
      {"ws://h/a/b/..", "ws://h/a/"},
      {"ws://h/a/../", "ws://h/"},
      {"ws://h//", "ws://h//"},
      {"ws://h//..", "ws://h/"},
      {"ws://h//a/..//b", "ws://h///b"},
      {"ws://h/a\\..\\b", "ws://h/b"},
      {"ws://h/%2e", "ws://h/"},
      {"ws://h/a/%2E/b", "ws://h/a/b"},
      {"ws://h/a/%2e%2E/b", "ws://h/b"},
      {"ws://h/a/.%2e/b", "ws://h/b"},
      {"ws://h/a/%2E./b", "ws://h/b"},
      {"ws://h/...", "ws://h/..."},
      {"ws://h/..a/.b/c..", "ws://h/..a/.b/c.."},
      {"ws://h/%2", "ws://h/%2"},
      {"ws://h/%2e%2", "ws://h/%2e%2"},
      {"ws://h/?a/../b", "ws://h/?a/../b"},
  };
  assert_hrefs(cases, COUNT(cases));
}

static void path_and_query_are_percent_encoded(void **state) {
  (void)state;
  static const href_case cases[] = {
      {"ws://h/a%23b", "ws://h/a%23b"},   /* Row 21. */
      {"ws://h/?€", "ws://h/?%E2%82%AC"}, /* Row 25. */
      {"ws://h/💩", "ws://h/%F0%9F%92%A9"},
      {"ws://h/ \"<>^`{}", "ws://h/%20%22%3C%3E%5E%60%7B%7D"},
      {"ws://h/'|[]!$&()*+,;=:@~_-", "ws://h/'|[]!$&()*+,;=:@~_-"},
      {"ws://h/? \"'<>", "ws://h/?%20%22%27%3C%3E"},
      {"ws://h/?`{}|^[]\\/?:@", "ws://h/?`{}|^[]\\/?:@"},
      {"ws://h/\x01\x1fx?\x01\x7f.", "ws://h/%01%1Fx?%01%7F."},
      {"ws://h/%zz%?%", "ws://h/%zz%?%"},
  };
  assert_hrefs(cases, COUNT(cases));
}

/* A-38: whatever byte stands anywhere, none gets into a request that could end
 * a line or a word of it. */
static void no_byte_can_break_a_request(void **state) {
  (void)state;
  static const char *const patterns[] = {
      "ws://h/%c",  "ws://h/?%c", "ws://h%c", "ws://h:8%c",
      "ws://%c@h/", "ws:%ch",     "%cws://h", "ws://h/%c%%0d%%0a"};
  for (size_t i = 0; i < COUNT(patterns); i++) {
    for (int byte = 0; byte <= 0xff; byte++) {
      char text[32];
      const int len = snprintf(text, sizeof(text), patterns[i], byte);
      ws_url *url;
      if (parse_bytes(text, (size_t)len, &url, NULL) != 0) continue;
      const char *const strings[] = {url->href, url->origin, url->host,
                                     url->authority, url->target};
      for (size_t s = 0; s < COUNT(strings); s++) {
        for (const char *c = strings[s]; *c != '\0'; c++) {
          assert_in_range(*c, '!', '~');
        }
      }
      ws_url_free(url);
    }
  }
}

static void a_nul_is_refused_in_the_host_and_encoded_elsewhere(void **state) {
  (void)state;
  static const char host[] = "ws://a\0b/";
  assert_refused_bytes(host, sizeof(host) - 1, BAD_CHARACTER);
  static const char idn_host[] = "ws://ü\0b/";
  assert_refused_bytes(idn_host, sizeof(idn_host) - 1, BAD_CHARACTER);
  static const char port[] = "ws://a:8\0.";
  assert_refused_bytes(port, sizeof(port) - 1, BAD_PORT);
  static const char target[] = "ws://h/\0?\0.";
  ws_url *url;
  assert_int_equal(parse_bytes(target, sizeof(target) - 1, &url, NULL), 0);
  assert_string_equal(url->target, "/%00?%00.");
  ws_url_free(url);
  static const char socket[] = "ws+unix:/a\0b";
  assert_refused_bytes(socket, sizeof(socket) - 1, HAS_CONTROL);
}

/* JavaScript cannot express these; here they are no text at all. */
static void what_is_not_utf8_is_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws://h/\x80", "ws://h/\xc0\xaf", "ws://h/?\xed\xa0\x80",
      "ws://\xff/",  "ws://h/\xe2\x82", "\xfe\xff",
  };
  assert_all_refused(texts, COUNT(texts), NOT_UTF8);
}

/* -- The port -------------------------------------------------------------- */

static void ports(void **state) {
  (void)state;
  static const href_case cases[] = {
      /* Rows 8 and 9. */
      {"ws://h:443/", "ws://h:443/"},
      {"wss://h:80/", "wss://h:80/"},
      {"ws://h:08080/", "ws://h:8080/"},
      {"ws://h:/x", "ws://h/x"},
      {"ws://h:00000000000000000000080/", "ws://h/"},
      {"ws://h:65535/", "ws://h:65535/"},
      {"ws://h:8\\x", "ws://h:8/x"},
      {"ws://h:8?x", "ws://h:8/?x"},
      {"ws://u:99999@h:1", "ws://u:99999@h:1/"},
      /* Rows 35 to 37: a port that is blocked, or 0, fails later. */
      {"ws://h:25/", "ws://h:25/"},
      {"ws://h:0/", "ws://h:0/"},
  };
  assert_hrefs(cases, COUNT(cases));
  ws_url *url = parse("ws://h:0000/");
  assert_int_equal(url->port, 0);
  ws_url_free(url);
}

/* Row 10. */
static void bad_ports_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws://h:65536/", "ws://h:80a/",  "ws://h:-1/",
      "ws://h:+1/",    "ws://h: 80/",  "ws://h:8 0/",
      "ws://h:80:80/", "ws://h:0x50/", "ws://h:4294967376/",
      "ws://h::/",     "ws://h:%38/",  "ws://h:18446744073709551696/",
      "ws://[::1]:x/", "ws://h:١/",
  };
  assert_all_refused(texts, COUNT(texts), BAD_PORT);
}

/* -- Hosts that are names -------------------------------------------------- */

static void names_are_decoded_and_lower_cased(void **state) {
  (void)state;
  static const href_case cases[] = {
      {"ws://LOCALHOST:9/echo", "ws://localhost:9/echo"}, /* Row 6. */
      {"ws://ex%41mple.com", "ws://example.com/"},
      {"ws://%65%78/", "ws://ex/"},
      {"ws://h./", "ws://h./"},
      {"ws://h../", "ws://h../"},
      {"ws://./", "ws://./"},
      {"ws://a_b.-c-.d--e/", "ws://a_b.-c-.d--e/"},
      {"ws://a!\"$&'()*+,;=_`{}~-/", "ws://a!\"$&'()*+,;=_`{}~-/"},
      /* ASCII names are only lower-cased, whatever is behind xn--. */
      {"ws://XN--ls8h.la/", "ws://xn--ls8h.la/"},
      {"ws://xn--/", "ws://xn--/"},
      {"ws://xn--a.b/", "ws://xn--a.b/"},
      {"ws://xn--8i7caa/", "ws://xn--8i7caa/"},
  };
  assert_hrefs(cases, COUNT(cases));
}

static void missing_hosts_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws:",     "ws://",    "ws:///",      "ws://?q",  "ws://:80/", "ws://@/",
      "ws://u@", "ws://u@?", "ws://u@:80/", "ws:\\\\/", "ws://:@/x"};
  assert_all_refused(texts, COUNT(texts), NO_HOST);
}

/* Row 13. */
static void forbidden_characters_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws://a<b/", "ws://%/",      "ws://a|b/",   "ws://a b/",   "ws://a>b/",
      "ws://a^b/", "ws://a[b/",    "ws://a]b/",   "ws://a%zz/",  "ws://a%4",
      "ws://%00/", "ws://%0d%0a/", "ws://a%20b/", "ws://a%2fb/", "ws://a%3ab/",
      "ws://%7f/", "ws://a\x7f/",  "ws://a%23b/", "ws://a%40b/", "ws://a%25b/",
      "ws://a%5c", "ws://%5b1]",   "ws://a\x01/", "ws://%3f/",
  };
  assert_all_refused(texts, COUNT(texts), BAD_CHARACTER);
}

/* -- Hosts that are IPv4 addresses ----------------------------------------- */

static void ipv4_addresses_in_all_their_forms(void **state) {
  (void)state;
  static const href_case cases[] = {
      /* Row 29. */
      {"ws://127.1/", "ws://127.0.0.1/"},
      {"ws://0x7f.1/", "ws://127.0.0.1/"},
      {"ws://0X7F.0.0.0X1/", "ws://127.0.0.1/"},
      {"ws://017700000001/", "ws://127.0.0.1/"},
      {"ws://2130706433/", "ws://127.0.0.1/"},
      {"ws://1.2.3/", "ws://1.2.0.3/"},
      {"ws://1.2.3.4./", "ws://1.2.3.4/"},
      {"ws://255.255.255.255/", "ws://255.255.255.255/"},
      {"ws://4294967295/", "ws://255.255.255.255/"},
      {"ws://1.0xffffff/", "ws://1.255.255.255/"},
      {"ws://1.2.0xffff/", "ws://1.2.255.255/"},
      {"ws://00000000000000000000000000001/", "ws://0.0.0.1/"},
      {"ws://0x/", "ws://0.0.0.0/"},
      {"ws://0x.0x.0/", "ws://0.0.0.0/"},
      {"ws://%31%2e1/", "ws://1.0.0.1/"},
      /* These do not end in a number. */
      {"ws://1.2.3.x/", "ws://1.2.3.x/"},
      {"ws://1.2.3.4../", "ws://1.2.3.4../"},
      {"ws://foo.0xg/", "ws://foo.0xg/"},
      {"ws://1e2/", "ws://1e2/"},
  };
  assert_hrefs(cases, COUNT(cases));
}

static void what_ends_in_a_number_must_be_an_ipv4_address(void **state) {
  (void)state;
  static const char *const texts[] = {
      "ws://256.1.1.1/",   "ws://1.256.1.1/",    "ws://1.2.3.256/",
      "ws://1.2.3.4.5/",   "ws://1.2.65536/",    "ws://1.0x1000000/",
      "ws://4294967296/",  "ws://0x100000000/",  "ws://18446744073709551616/",
      "ws://09/",          "ws://1.08/",         "ws://1..2/",
      "ws://.1/",          "ws://foo.0x4/",      "ws://foo.09/",
      "ws://foo.09./",     "ws://foo.1.2.3.4/",  "ws://0..0x/",
      "ws://1.2.3.-4.5/",  "ws://0x1g.1/",       "ws://+1.1/",
      "ws://1.2.3.4.5.6/", "ws://1.0x.2.3.0xf.",
  };
  assert_all_refused(texts, COUNT(texts), BAD_IPV4);
}

/* -- Hosts that are IPv6 addresses ----------------------------------------- */

static void ipv6_addresses_in_their_shortest_form(void **state) {
  (void)state;
  static const href_case cases[] = {
      {"ws://[::1]:81/", "ws://[::1]:81/"}, /* Row 29. */
      {"ws://[::]/", "ws://[::]/"},
      {"ws://[1:2:3:4:5:6:7:8]/", "ws://[1:2:3:4:5:6:7:8]/"},
      {"ws://[0001:02:0:0:0:0:007:ABCD]/", "ws://[1:2::7:abcd]/"},
      {"ws://[FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/",
       "ws://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/"},
      {"ws://[1::]/", "ws://[1::]/"},
      {"ws://[1:2:3:4:5:6:7::]/", "ws://[1:2:3:4:5:6:7:0]/"},
      {"ws://[::2:3:4:5:6:7:8]/", "ws://[0:2:3:4:5:6:7:8]/"},
      {"ws://[1:0:3:4:5:6:7:8]/", "ws://[1:0:3:4:5:6:7:8]/"},
      {"ws://[1::4:0:0:0:8]/", "ws://[1:0:0:4::8]/"},
      {"ws://[1:0:0:4:0:0:7:8]/", "ws://[1::4:0:0:7:8]/"},
      {"ws://[0:0:1:0:0:0:0:1]/", "ws://[0:0:1::1]/"},
      {"ws://[1:0:0:0:0:0:0:0]/", "ws://[1::]/"},
      {"ws://[::127.0.0.1]/", "ws://[::7f00:1]/"},
      {"ws://[::ffff:1.2.3.4]/", "ws://[::ffff:102:304]/"},
      {"ws://[1:2:3:4:5:6:255.255.255.255]/", "ws://[1:2:3:4:5:6:ffff:ffff]/"},
      {"ws://u:p@[::1]/", "ws://u:p@[::1]/"},
  };
  assert_hrefs(cases, COUNT(cases));
}

static void malformed_ipv6_addresses_are_refused(void **state) {
  (void)state;
  static const char *const texts[] = {"ws://[]/",
                                      "ws://[/",
                                      "ws://[:]/",
                                      "ws://[:::]/",
                                      "ws://[::1/",
                                      "ws://[::1]x/",
                                      "ws://[::1]]/",
                                      "ws://[[::1]]/",
                                      "ws://[1]/",
                                      "ws://[1:2:3:4:5:6:7]/",
                                      "ws://[1:2:3:4:5:6:7:8:9]/",
                                      "ws://[1:2:3:4:5:6:7:8::]/",
                                      "ws://[::1:2:3:4:5:6:7:8]/",
                                      "ws://[1::2::3]/",
                                      "ws://[1:2:3:4:5:6:7:]/",
                                      "ws://[1:]/",
                                      "ws://[:1:2:3:4:5:6:7:8]/",
                                      "ws://[12345::]/",
                                      "ws://[::g]/",
                                      "ws://[::1%25eth0]/",
                                      "ws://[::1%eth0]/",
                                      "ws://[:: 1]/",
                                      "ws://[::1.2.3]/",
                                      "ws://[::1.2.3.4.5]/",
                                      "ws://[::1.2.3.256]/",
                                      "ws://[::01.2.3.4]/",
                                      "ws://[::1.2.3.]/",
                                      "ws://[::.2.3.4]/",
                                      "ws://[::1..3.4]/",
                                      "ws://[::1.2.3.4:5]/",
                                      "ws://[::1.2.3.4.]/",
                                      "ws://[::1.2.3.1111]/",
                                      "ws://[::a.2.3.4]/",
                                      "ws://[::1.2.3.4x]/",
                                      "ws://[1:2:3:4:5:6:7:1.2.3.4]/",
                                      "ws://[1:2:3:4:5:6::1.2.3.4]/",
                                      "ws://[1.2.3.4]/",
                                      "ws://[%3a%3a1]/"};
  assert_all_refused(texts, COUNT(texts), BAD_IPV6);
}

/* -- Hosts that are not ASCII ---------------------------------------------- */

/* This program is built twice, with libidn2 if it is there and without. */
#ifdef WS_HAVE_IDN2
static void international_names_become_ascii(void **state) {
  (void)state;
  static const href_case cases[] = {
      /* Row 26. */
      {"ws://天気の良い日.example/", "ws://xn--n8j6ds53lwwkrqhv28a.example/"},
      {"ws://Bücher.DE/", "ws://xn--bcher-kva.de/"},
      {"ws://b%C3%BCcher.de/", "ws://xn--bcher-kva.de/"},
      /* Nontransitional: sharp s stays. */
      {"ws://faß.de/", "ws://xn--fa-hia.de/"},
      /* NFC, full-width letters, ideographic dot, soft hyphen. */
      {"ws://u\u0308/", "ws://xn--tda/"},
      {"ws://ＧＯ.com/", "ws://go.com/"},
      {"ws://a。b/", "ws://a.b/"},
      {"ws://a\u00adb/", "ws://ab/"},
      {"ws://x..ß/", "ws://x..xn--zca/"},
      /* What becomes a number is one. */
      {"ws://１２７.1/", "ws://127.0.0.1/"},
  };
  assert_hrefs(cases, COUNT(cases));

  ws_url *url = parse("ws://ü.example:81/");
  assert_string_equal(url->authority, "xn--tda.example:81");
  assert_string_equal(url->origin, "ws://xn--tda.example:81");
  ws_url_free(url);
}

static void bad_international_names_are_refused(void **state) {
  (void)state;
  static const char *const invalid[] = {
      "ws://\u200d.example/", /* Joiner without context. */
      "ws://\u064aa/",        /* Right-to-left, then not. */
      "ws://\ufffd.com/",     /* U+FFFD */
      "ws://xn--a.ß/",        /* Invalid Punycode. */
      "ws://xn--tešla/",      /* Punycode that is not ASCII. */
      "ws://💩.la/",           /* IDNA 2008 has no emoji. */
      "ws://%ff.ß/",          /* Not UTF-8 once decoded. */
      "ws://%C0%80/",
  };
  assert_all_refused(invalid, COUNT(invalid), BAD_IDN);

  /* Forbidden characters that appear by the mapping. */
  assert_refused("ws://℀.com/", BAD_CHARACTER);        /* a/c */
  assert_refused("ws://％.com/", BAD_CHARACTER);       /* % */
  assert_refused("ws://a：b/", BAD_CHARACTER);         /* : */
  assert_refused("ws://\u00ad/", "the host is empty"); /* soft hyphen */
  assert_refused("ws://\u064a.1/", BAD_IPV4);
}

#else
static void without_libidn2_they_are_refused_and_named(void **state) {
  (void)state;
  assert_refused("ws://ü/", NO_IDN);
  assert_refused("ws://%C3%BC/", NO_IDN);
  assert_refused("ws://%ff/", NO_IDN);
}
#endif

/* -- Unix sockets ---------------------------------------------------------- */

static void assert_unix(const char *text, const char *href,
                        const char *unix_path, const char *target) {
  ws_url *url = parse(text);
  assert_string_equal(url->href, href);
  assert_non_null(url->unix_path);
  assert_string_equal(url->unix_path, unix_path);
  assert_string_equal(url->target, target);
  assert_string_equal(url->host, "localhost");
  assert_string_equal(url->authority, "localhost");
  assert_string_equal(url->origin, "null");
  assert_null(url->authorization);
  assert_false(url->is_secure);
  ws_url_free(url);
}

/* Row 351. */
static void unix_sockets(void **state) {
  (void)state;
  assert_unix("ws+unix:/run/s.sock:/path?q", "ws+unix:/run/s.sock:/path?q",
              "/run/s.sock", "/path?q");
  assert_unix("ws+unix:/run/s.sock", "ws+unix:/run/s.sock", "/run/s.sock", "/");
  assert_unix(" WS+UNIX:/s:\n", "ws+unix:/s:", "/s", "/");
  assert_unix("ws+unix:s:?", "ws+unix:s:?", "s", "/");
  assert_unix("ws+unix:/s:?q", "ws+unix:/s:?q", "/s", "/?q");
  assert_unix("ws+unix:/s:p:r", "ws+unix:/s:p:r", "/s", "/p:r");
  assert_unix("ws+unix:/a b?@\\%41é:/x y/../é",
              "ws+unix:/a b?@\\%41é:/x y/../é", "/a b?@\\%41é", "/%C3%A9");
}

static void bad_unix_sockets_are_refused(void **state) {
  (void)state;
  assert_refused("ws+unix:", NO_SOCKET_PATH);
  assert_refused("ws+unix::/path", NO_SOCKET_PATH);
  assert_refused("ws+unix:/a\x01/b", HAS_CONTROL);
  assert_refused("ws+unix:/a:/\x7f", HAS_CONTROL);
}

/* -- Memory and misuse ----------------------------------------------------- */

/* A-38 is decided before anything else exists, and a refusal holds nothing. */
static void every_allocation_may_fail(void **state) {
  (void)state;
  static const char *const texts[] = {
      "wss://user:pass@example.com:8443/chat/../x?q=€",
      "ws://h/?",
      "ws://[::1]:81/",
      "ws://127.1/",
      "ws://bücher.de/",
      "ws+unix:/run/s.sock:/path?q",
      "ws://h:99999/",
      "ws://a b/",
      "nonsense"};
  for (size_t i = 0; i < COUNT(texts); i++) {
    for (size_t n = 0;; n++) {
      test_alloc alloc;
      test_alloc_init(&alloc);
      alloc.fail_at = n;
      ws_url *url = NULL;
      const char *reason = NULL;
      const int err = ws_url_parse(texts[i], strlen(texts[i]), &alloc.allocator,
                                   &url, &reason);
      const bool has_failed = alloc.calls > n;
      if (has_failed) assert_int_equal(err, WS_ERR_NO_MEMORY);
      assert_int_equal(url != NULL, err == 0);
      assert_int_equal(reason != NULL, err == WS_ERR_SYNTAX);
      ws_url_free(url);
      assert_int_equal(alloc.held, 0);
      if (!has_failed) break;
    }
  }
}

static void long_urls_fail_without_memory_too(void **state) {
  (void)state;
  enum {
    LENGTH = 5000
  };
  char text[LENGTH];
  memset(text, '"', sizeof(text));
  memcpy(text, "ws://u:\"@h/", 11);
  for (size_t n = 0;; n++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    alloc.fail_at = n;
    ws_url *url = NULL;
    const int err =
        ws_url_parse(text, sizeof(text), &alloc.allocator, &url, NULL);
    const bool has_failed = alloc.calls > n;
    assert_int_equal(err, has_failed ? WS_ERR_NO_MEMORY : 0);
    ws_url_free(url);
    assert_int_equal(alloc.held, 0);
    if (!has_failed) break;
  }
}

static void the_result_is_one_block(void **state) {
  (void)state;
  test_alloc alloc;
  test_alloc_init(&alloc);
  ws_url *url;
  assert_int_equal(ws_url_parse("ws://u@h/", 9, &alloc.allocator, &url, NULL),
                   0);
  const size_t strings = sizeof("ws://u@h/") + sizeof("ws://h") + sizeof("h") +
                         sizeof("h") + sizeof("/") + sizeof("Basic dTo=");
  assert_true(alloc.held < sizeof(*url) + strings + 4 * sizeof(void *));
  ws_url_free(url);
  assert_int_equal(alloc.held, 0);
}

static void null_is_fine_to_free(void **state) {
  (void)state;
  ws_url_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_part_of_a_url),
      cmocka_unit_test(default_ports_are_filled_in_and_left_out),
      cmocka_unit_test(an_ipv6_host_has_brackets_in_the_authority_alone),
      cmocka_unit_test(an_empty_query_is_shown_but_not_sent),
      cmocka_unit_test(userinfo_becomes_basic_credentials),
      cmocka_unit_test(userinfo_is_percent_encoded),
      cmocka_unit_test(schemes_that_are_ours),
      cmocka_unit_test(other_schemes_are_refused),
      cmocka_unit_test(what_has_no_scheme_is_refused),
      cmocka_unit_test(slashes_after_the_scheme_do_not_count),
      cmocka_unit_test(fragments_are_refused),
      cmocka_unit_test(blanks_around_and_line_ends_inside_vanish),
      cmocka_unit_test(dot_segments_are_resolved),
      cmocka_unit_test(path_and_query_are_percent_encoded),
      cmocka_unit_test(no_byte_can_break_a_request),
      cmocka_unit_test(a_nul_is_refused_in_the_host_and_encoded_elsewhere),
      cmocka_unit_test(what_is_not_utf8_is_refused),
      cmocka_unit_test(ports),
      cmocka_unit_test(bad_ports_are_refused),
      cmocka_unit_test(names_are_decoded_and_lower_cased),
      cmocka_unit_test(missing_hosts_are_refused),
      cmocka_unit_test(forbidden_characters_are_refused),
      cmocka_unit_test(ipv4_addresses_in_all_their_forms),
      cmocka_unit_test(what_ends_in_a_number_must_be_an_ipv4_address),
      cmocka_unit_test(ipv6_addresses_in_their_shortest_form),
      cmocka_unit_test(malformed_ipv6_addresses_are_refused),
#ifdef WS_HAVE_IDN2
      cmocka_unit_test(international_names_become_ascii),
      cmocka_unit_test(bad_international_names_are_refused),
#else
      cmocka_unit_test(without_libidn2_they_are_refused_and_named),
#endif
      cmocka_unit_test(unix_sockets),
      cmocka_unit_test(bad_unix_sockets_are_refused),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(long_urls_fail_without_memory_too),
      cmocka_unit_test(the_result_is_one_block),
      cmocka_unit_test(null_is_fine_to_free),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
