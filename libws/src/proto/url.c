/* url.c - the WHATWG URL parser, for the special schemes and without a base.
 *
 * First the text is cleaned and cut into slices (split_*), then the host gets
 * its one canonical form (parse_host), then every string of the result is
 * written into one buffer (write_*) that becomes the one block of the ws_url.
 * Each step is linear in the text.
 * Invariant: no byte reaches an output but through put_encoded(), the host's
 * check for forbidden characters, or a constant of this file. So no control
 * character and no space can get into a request (the path of a Unix socket,
 * which is not part of one, has its own check). */
#include "ws/url.h"

#include "base/ascii.h"
#include "base/buf.h"
#include "proto/base64.h"
#include "proto/idn.h"
#include "proto/ip.h"
#include "proto/percent.h"
#include "proto/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IPV4_PARTS  4
#define IPV6_PIECES (WS__IP6_SIZE / 2)
#define NO_ZEROS    SIZE_MAX
#define DELETE      0x7f

/* The characters that are percent-encoded in each place, beyond controls, space
 * and what is not ASCII (URL standard, section 1.3). */
#define QUERY_SET    "\"#'<>"
#define PATH_SET     "\"#<>?^`{}"
#define USERINFO_SET PATH_SET "/:;=@[\\]|"

/* The forbidden domain code points beyond controls and space (section 3.1). */
#define FORBIDDEN_IN_DOMAIN "#%/:<>?@[\\]^|"

typedef struct slice {
  const char *ptr;
  size_t len;
} slice;

typedef enum url_kind {
  KIND_WS,
  KIND_WSS,
  KIND_UNIX
} url_kind;

static const struct {
  const char *name;
  url_kind kind;
} schemes[] = {
    {"ws", KIND_WS},     {"wss", KIND_WSS},      {"http", KIND_WS},
    {"https", KIND_WSS}, {"ws+unix", KIND_UNIX},
};

/* What a URL turns into: `strings` holds one NUL-terminated string after the
 * other and these are their offsets. `href` is at 0, so that 0 can mean that an
 * optional string is absent. */
typedef struct layout {
  size_t origin;
  size_t host;
  size_t authority;
  size_t target;
  size_t authorization;
  size_t unix_path;
} layout;

typedef struct parser {
  const ws_allocator *allocator;
  const char *reason;
  bool is_out_of_memory; /* Set by put(); asked once, at the end. */

  ws__buf text; /* Trimmed, without tabs and newlines; the slices point in. */
  url_kind kind;
  slice user;
  slice password;
  slice path;
  slice query;
  bool has_query;
  uint16_t port;

  ws__buf host; /* Canonical; an IPv6 address in brackets. */
  ws__buf strings;
  layout at;
} parser;

/* One block, so that one free releases all. */
typedef struct url_block {
  ws_url url;
  const ws_allocator *allocator;
  size_t size;
  char strings[];
} url_block;

static int refuse(parser *p, const char *reason) {
  p->reason = reason;
  return WS_ERR_SYNTAX;
}

/* -- Characters and slices ------------------------------------------------- */

static bool is_one_of(char c, const char *set) {
  return c != '\0' && strchr(set, c) != NULL;
}

static bool is_control_or_space(char c) {
  return (unsigned char)c <= ' ';
}

static bool is_ascii(char c) {
  return (unsigned char)c <= DELETE;
}

static slice slice_of(const ws__buf *buf) {
  return (slice){(const char *)buf->data, buf->len};
}

static slice skip(slice s, size_t n) {
  return (slice){s.ptr + n, s.len - n};
}

/* Cuts off and returns what stands before the first of the characters `stops`;
 * all, if there is none. */
static slice take_until(slice *rest, const char *stops) {
  size_t n = 0;
  while (n < rest->len && !is_one_of(rest->ptr[n], stops))
    n++;
  const slice taken = {rest->ptr, n};
  *rest = skip(*rest, n);
  return taken;
}

static bool equals_ignoring_case(slice s, const char *lower) {
  if (s.len != strlen(lower)) return false;
  for (size_t i = 0; i < s.len; i++) {
    if (ws__to_lower(s.ptr[i]) != lower[i]) return false;
  }
  return true;
}

/* -- Writing ---------------------------------------------------------------
 *
 * A failure is kept and what follows it is lost, so that the callers read as
 * what they write. */

static void put(parser *p, const char *data, size_t len) {
  if (p->is_out_of_memory) return;
  if (ws__buf_append(&p->strings, p->allocator, data, len) != 0) {
    p->is_out_of_memory = true;
  }
}

static void put_str(parser *p, const char *str) {
  put(p, str, strlen(str));
}

static void put_end(parser *p) {
  put(p, "", 1);
}

/* Repeats a part of what has been written. */
static void put_again(parser *p, size_t start, size_t end) {
  if (p->is_out_of_memory) return;
  if (ws__buf_reserve(&p->strings, p->allocator, end - start) != 0) {
    p->is_out_of_memory = true;
    return;
  }
  put(p, (const char *)p->strings.data + start, end - start);
}

/* Section 1.3, "UTF-8 percent-encode". */
static void put_encoded(parser *p, slice s, const char *set) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < s.len; i++) {
    const char c = s.ptr[i];
    if (!ws__is_control(c) && c != ' ' && is_ascii(c) && !is_one_of(c, set)) {
      put(p, &c, 1);
      continue;
    }
    const unsigned char byte = (unsigned char)c;
    put(p, (char[]){'%', digits[byte >> 4], digits[byte & 0xf]}, 3);
  }
}

/* -- Cutting the text ------------------------------------------------------ */

/* Section 4.4, steps 1 to 3: "Remove any leading and trailing C0 control or
 * space from input. ... Remove all ASCII tab or newline from input." */
static int clean(parser *p, const char *text, size_t len) {
  if (!ws__utf8_is_valid((const uint8_t *)text, len)) {
    return refuse(p, "the URL is not valid UTF-8");
  }
  size_t start = 0;
  while (start < len && is_control_or_space(text[start]))
    start++;
  size_t end = len;
  while (end > start && is_control_or_space(text[end - 1]))
    end--;
  if (start == end) return refuse(p, "the URL is empty");

  const int err = ws__buf_reserve(&p->text, p->allocator, end - start);
  if (err != 0) return err;
  for (size_t i = start; i < end; i++) {
    if (is_one_of(text[i], "\t\n\r")) continue;
    p->text.data[p->text.len++] = (uint8_t)text[i];
  }
  return 0;
}

/* Cuts off the scheme and its colon. */
static int split_scheme(parser *p, slice *rest) {
  const slice scheme = take_until(rest, ":/\\?#");
  if (scheme.len == 0 || rest->len == 0 || rest->ptr[0] != ':') {
    return refuse(p, "the URL is not absolute (no scheme such as ws:)");
  }
  *rest = skip(*rest, 1);
  for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
    if (equals_ignoring_case(scheme, schemes[i].name)) {
      p->kind = schemes[i].kind;
      return 0;
    }
  }
  return refuse(p, "the scheme is not ws, wss, http, https or ws+unix");
}

static void split_target(parser *p, slice rest) {
  p->path = take_until(&rest, "?");
  p->has_query = rest.len > 0;
  if (p->has_query) p->query = skip(rest, 1);
}

/* Cuts "user:password@" off: the last @ ends it, the first colon divides it. */
static void split_userinfo(parser *p, slice *authority) {
  size_t end = authority->len;
  while (end > 0 && authority->ptr[end - 1] != '@')
    end--;
  if (end == 0) return;

  slice userinfo = {authority->ptr, end - 1};
  *authority = skip(*authority, end);
  p->user = take_until(&userinfo, ":");
  if (userinfo.len > 0) p->password = skip(userinfo, 1);
}

/* Cuts the host off and leaves the port with its colon, or nothing. The colons
 * inside the brackets of an IPv6 address do not count. */
static slice split_host(slice *authority) {
  bool is_in_brackets = false;
  size_t n = 0;
  for (; n < authority->len; n++) {
    const char c = authority->ptr[n];
    if (c == ':' && !is_in_brackets) break;
    if (c == '[') is_in_brackets = true;
    if (c == ']') is_in_brackets = false;
  }
  const slice host = {authority->ptr, n};
  *authority = skip(*authority, n);
  return host;
}

static uint16_t default_port(const parser *p) {
  return p->kind == KIND_WSS ? 443 : 80;
}

/* Section 4.4, port state. A colon without digits means the default. */
static int parse_port(parser *p, slice text) {
  p->port = default_port(p);
  if (text.len <= 1) return 0;

  uint32_t port = 0;
  for (size_t i = 1; i < text.len; i++) {
    const char c = text.ptr[i];
    if (ws__is_digit(c)) port = port * 10 + (uint32_t)(c - '0');
    if (!ws__is_digit(c) || port > UINT16_MAX) {
      return refuse(p, "the port is not a number up to 65535");
    }
  }
  p->port = (uint16_t)port;
  return 0;
}

/* -- The host: IPv4 -------------------------------------------------------- */

/* Section 3.5, "IPv4 number parser": decimal, 0 before octal, 0x before hex.
 * What is too large for 32 bits comes out as something larger than they hold.
 */
static bool parse_ipv4_number(slice s, uint64_t *out_number) {
  if (s.len == 0) return false;
  unsigned base = 10;
  if (s.len >= 2 && s.ptr[0] == '0') {
    const bool is_hex = s.ptr[1] == 'x';
    base = is_hex ? 16 : 8;
    s = skip(s, is_hex ? 2 : 1);
  }
  uint64_t number = 0;
  for (size_t i = 0; i < s.len; i++) {
    const int digit = ws__hex_value(s.ptr[i]);
    if (digit < 0 || (unsigned)digit >= base) return false;
    if (number <= UINT32_MAX) number = number * base + (unsigned)digit;
  }
  *out_number = number;
  return true;
}

/* Section 3.5, "ends in a number checker": such a host is an IPv4 address or
 * nothing. `domain` has no dot at its end. */
static bool ends_in_number(slice domain) {
  size_t start = domain.len;
  while (start > 0 && domain.ptr[start - 1] != '.')
    start--;
  const slice last = skip(domain, start);
  uint64_t number;
  if (parse_ipv4_number(last, &number)) return true;

  size_t digits = 0;
  while (digits < last.len && ws__is_digit(last.ptr[digits]))
    digits++;
  return last.len > 0 && digits == last.len;
}

/* Section 3.5, "IPv4 parser": up to four parts, the last fills what is left. */
static bool parse_ipv4(slice domain, uint32_t *out_address) {
  uint32_t address = 0;
  for (unsigned part = 0; part < IPV4_PARTS; part++) {
    uint64_t number;
    if (!parse_ipv4_number(take_until(&domain, "."), &number)) return false;
    const unsigned bits_left = 8 * (IPV4_PARTS - part);
    if (domain.len == 0) {
      if (number >> bits_left != 0) return false;
      *out_address = address | (uint32_t)number;
      return true;
    }
    if (number > UINT8_MAX) return false;
    address |= (uint32_t)number << (bits_left - 8);
    domain = skip(domain, 1);
  }
  return false;
}

static int replace_host(parser *p, const char *text) {
  p->host.len = 0;
  return ws__buf_append_str(&p->host, p->allocator, text);
}

static int canonicalise_ipv4(parser *p, slice domain) {
  uint32_t address;
  if (!parse_ipv4(domain, &address)) {
    return refuse(p, "the host ends in a number but is not an IPv4 address");
  }
  char text[sizeof("255.255.255.255")];
  snprintf(text, sizeof(text), "%u.%u.%u.%u", address >> 24 & 0xff,
           address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
  return replace_host(p, text);
}

/* -- The host: IPv6 -------------------------------------------------------- */

/* The first longest run of two or more zero pieces. */
static size_t find_zeros(const uint16_t pieces[IPV6_PIECES], size_t *out_len) {
  size_t start = NO_ZEROS;
  size_t longest = 1;
  for (size_t i = 0; i < IPV6_PIECES; i++) {
    size_t run = 0;
    while (i + run < IPV6_PIECES && pieces[i + run] == 0)
      run++;
    if (run <= longest) continue;
    start = i;
    longest = run;
  }
  *out_len = longest;
  return start;
}

/* Section 3.6, "IPv6 serializer": the form of RFC 5952. */
static int canonicalise_ipv6(parser *p, slice text) {
  uint8_t address[WS__IP6_SIZE];
  if (text.ptr[text.len - 1] != ']' ||
      !ws__ip6_parse(text.ptr + 1, text.len - 2, address)) {
    return refuse(p, "the host in brackets is not an IPv6 address");
  }
  uint16_t pieces[IPV6_PIECES];
  for (size_t i = 0; i < IPV6_PIECES; i++)
    pieces[i] = (uint16_t)(address[2 * i] << 8 | address[2 * i + 1]);
  size_t zeros_len;
  const size_t zeros = find_zeros(pieces, &zeros_len);

  char out[sizeof("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]")] = "[";
  size_t len = 1;
  for (size_t i = 0; i < IPV6_PIECES; i++) {
    if (i == zeros) {
      len += (size_t)snprintf(out + len, sizeof(out) - len, "::");
      i += zeros_len - 1;
      continue;
    }
    const bool needs_colon = i > 0 && out[len - 1] != ':';
    len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%" PRIx16,
                            needs_colon ? ":" : "", pieces[i]);
  }
  snprintf(out + len, sizeof(out) - len, "]");
  return replace_host(p, out);
}

/* -- The host: names ------------------------------------------------------- */

static bool has_forbidden_character(slice domain) {
  for (size_t i = 0; i < domain.len; i++) {
    const char c = domain.ptr[i];
    if (ws__is_control(c) || c == ' ' || is_one_of(c, FORBIDDEN_IN_DOMAIN)) {
      return true;
    }
  }
  return false;
}

/* Section 3.3, "domain to ASCII", on p->host. An ASCII domain is only
 * lower-cased: "When beStrict is false and domain is an ASCII string, the
 * algorithm returns domain lowercased regardless of Unicode ToASCII's outcome,
 * due to web compatibility." */
static int domain_to_ascii(parser *p) {
  bool is_all_ascii = true;
  for (size_t i = 0; i < p->host.len; i++) {
    const char c = (char)p->host.data[i];
    if (!is_ascii(c)) is_all_ascii = false;
    p->host.data[i] = (uint8_t)ws__to_lower(c);
  }
  if (is_all_ascii) return 0;
  return ws__idn_to_ascii(&p->host, p->allocator, &p->reason);
}

/* Section 3.5, "host parser". */
static int parse_host(parser *p, slice text) {
  if (text.len == 0) return refuse(p, "the host is missing");
  if (text.ptr[0] == '[') return canonicalise_ipv6(p, text);

  int err = ws__percent_decode(&p->host, p->allocator, text.ptr, text.len);
  if (err != 0) return err;
  /* Asked before as well, because libidn2 takes the host up to a NUL. */
  bool is_forbidden = has_forbidden_character(slice_of(&p->host));
  if (!is_forbidden) {
    err = domain_to_ascii(p);
    if (err != 0) return err;
    is_forbidden = has_forbidden_character(slice_of(&p->host));
  }
  if (is_forbidden) {
    return refuse(p, "the host has a character that is not allowed in it");
  }
  if (p->host.len == 0) return refuse(p, "the host is empty");

  slice domain = slice_of(&p->host);
  if (domain.ptr[domain.len - 1] == '.') domain.len--;
  return ends_in_number(domain) ? canonicalise_ipv4(p, domain) : 0;
}

/* -- The strings ----------------------------------------------------------- */

/* How many dots a path segment consists of, "%2e" counted as one; 0 if of
 * anything else (section 4.1, "single-dot URL path segment"). */
static size_t count_dots(slice segment) {
  size_t dots = 0;
  while (segment.len > 0) {
    if (segment.ptr[0] == '.') {
      segment = skip(segment, 1);
    } else if (segment.len >= 3 &&
               equals_ignoring_case((slice){segment.ptr, 3}, "%2e")) {
      segment = skip(segment, 3);
    } else {
      return 0;
    }
    dots++;
  }
  return dots;
}

/* Section 4.4, path start state and path state. */
static void write_path(parser *p) {
  const size_t start = p->strings.len;
  slice rest = p->path;
  if (rest.len > 0 && is_one_of(rest.ptr[0], "/\\")) rest = skip(rest, 1);
  for (;;) {
    const slice segment = take_until(&rest, "/\\");
    const bool is_last = rest.len == 0;
    const size_t dots = count_dots(segment);
    if (dots == 2) {
      while (p->strings.len > start) {
        if (p->strings.data[--p->strings.len] == '/') break;
      }
    }
    if (dots != 1 && dots != 2) {
      put_str(p, "/");
      put_encoded(p, segment, PATH_SET);
    } else if (is_last) {
      put_str(p, "/");
    }
    if (is_last) return;
    rest = skip(rest, 1);
  }
}

static void write_query(parser *p) {
  put_str(p, "?");
  put_encoded(p, p->query, QUERY_SET);
}

/* Basic authentication from the userinfo (RFC 7617 section 2). */
static int write_authorization(parser *p) {
  ws__buf credentials = {0};
  int err =
      ws__percent_decode(&credentials, p->allocator, p->user.ptr, p->user.len);
  if (err == 0) err = ws__buf_append_str(&credentials, p->allocator, ":");
  if (err == 0)
    err = ws__percent_decode(&credentials, p->allocator, p->password.ptr,
                             p->password.len);
  if (err != 0) goto done;

  put_str(p, "Basic ");
  const size_t text_len = WS__BASE64_SIZE(credentials.len);
  err = ws__buf_reserve(&p->strings, p->allocator, text_len);
  if (err != 0) goto done;
  ws__base64_encode(credentials.data, credentials.len,
                    (char *)p->strings.data + p->strings.len);
  p->strings.len += text_len;
  put_end(p);
done:
  ws__buf_free(&credentials, p->allocator);
  return err;
}

/* Where the parts of href begin, which the other strings repeat. */
typedef struct href_parts {
  size_t userinfo;
  size_t authority;
  size_t path;
  size_t query;
  size_t end;
} href_parts;

static bool has_userinfo(const parser *p) {
  return p->user.len > 0 || p->password.len > 0;
}

/* Section 4.5, "URL serializer". */
static href_parts write_href(parser *p) {
  href_parts at;
  put_str(p, p->kind == KIND_WSS ? "wss://" : "ws://");
  at.userinfo = p->strings.len;
  if (has_userinfo(p)) {
    put_encoded(p, p->user, USERINFO_SET);
    if (p->password.len > 0) put_str(p, ":");
    put_encoded(p, p->password, USERINFO_SET);
    put_str(p, "@");
  }
  at.authority = p->strings.len;
  put(p, (const char *)p->host.data, p->host.len);
  if (p->port != default_port(p)) {
    char port[sizeof(":65535")];
    snprintf(port, sizeof(port), ":%u", (unsigned)p->port);
    put_str(p, port);
  }
  at.path = p->strings.len;
  write_path(p);
  at.query = p->strings.len;
  if (p->has_query) write_query(p);
  at.end = p->strings.len;
  put_end(p);
  return at;
}

static int write_strings(parser *p) {
  const href_parts href = write_href(p);

  p->at.origin = p->strings.len;
  put_again(p, 0, href.userinfo);
  put_again(p, href.authority, href.path);
  put_end(p);

  p->at.host = p->strings.len;
  const slice host = slice_of(&p->host);
  const bool is_ipv6 = host.ptr[0] == '[';
  put(p, is_ipv6 ? host.ptr + 1 : host.ptr, is_ipv6 ? host.len - 2 : host.len);
  put_end(p);

  p->at.authority = p->strings.len;
  put_again(p, href.authority, href.path);
  put_end(p);

  /* "'?' if the query component is non-empty" (RFC 6455 section 3). */
  p->at.target = p->strings.len;
  put_again(p, href.path, p->query.len > 0 ? href.end : href.query);
  put_end(p);

  if (!has_userinfo(p)) return 0;
  p->at.authorization = p->strings.len;
  return write_authorization(p);
}

/* "PATH:TARGET", the way of npm's ws. */
static int parse_unix(parser *p, slice text) {
  for (size_t i = 0; i < text.len; i++) {
    if (ws__is_control(text.ptr[i])) {
      return refuse(p, "the URL has a control character");
    }
  }
  slice rest = text;
  const slice unix_path = take_until(&rest, ":");
  if (unix_path.len == 0) {
    return refuse(p, "the path of the Unix socket is missing");
  }
  split_target(p, rest.len > 0 ? skip(rest, 1) : rest);

  put_str(p, "ws+unix:");
  put(p, text.ptr, text.len);
  put_end(p);
  p->at.origin = p->strings.len;
  put_str(p, "null");
  put_end(p);
  p->at.host = p->at.authority = p->strings.len;
  put_str(p, "localhost");
  put_end(p);
  p->at.target = p->strings.len;
  write_path(p);
  if (p->query.len > 0) write_query(p);
  put_end(p);
  p->at.unix_path = p->strings.len;
  put(p, unix_path.ptr, unix_path.len);
  put_end(p);
  p->port = default_port(p);
  return 0;
}

static int parse(parser *p, const char *text, size_t len) {
  int err = clean(p, text, len);
  if (err != 0) return err;
  slice rest = slice_of(&p->text);
  err = split_scheme(p, &rest);
  if (err != 0) return err;
  /* "If urlRecord's fragment is non-null, then throw a 'SyntaxError'"
   * (WebSockets standard, constructor step 7). A # starts nothing else. */
  if (rest.len > 0 && memchr(rest.ptr, '#', rest.len) != NULL) {
    return refuse(p, "a fragment (#) is not allowed");
  }
  if (p->kind == KIND_UNIX) return parse_unix(p, rest);

  while (rest.len > 0 && is_one_of(rest.ptr[0], "/\\"))
    rest = skip(rest, 1);
  slice authority = take_until(&rest, "/\\?");
  split_target(p, rest);
  split_userinfo(p, &authority);
  const slice host = split_host(&authority);
  err = parse_port(p, authority);
  if (err != 0) return err;
  err = parse_host(p, host);
  if (err != 0) return err;
  return write_strings(p);
}

static int make_url(const parser *p, ws_url **out_url) {
  if (p->is_out_of_memory) return WS_ERR_NO_MEMORY;
  const size_t size = sizeof(url_block) + p->strings.len;
  url_block *block = ws__alloc(p->allocator, size);
  if (block == NULL) return WS_ERR_NO_MEMORY;

  const char *strings = block->strings;
  const layout at = p->at;
  memcpy(block->strings, p->strings.data, p->strings.len);
  block->allocator = p->allocator;
  block->size = size;
  block->url = (ws_url){
      .href = strings,
      .origin = strings + at.origin,
      .host = strings + at.host,
      .authority = strings + at.authority,
      .target = strings + at.target,
      .authorization = at.authorization ? strings + at.authorization : NULL,
      .unix_path = at.unix_path ? strings + at.unix_path : NULL,
      .port = p->port,
      .is_secure = p->kind == KIND_WSS,
  };
  *out_url = &block->url;
  return 0;
}

int ws_url_parse(const char *text, size_t len, const ws_allocator *allocator,
                 ws_url **out_url, const char **out_reason) {
  parser p = {.allocator = allocator != NULL ? allocator : &ws__malloc};
  int err = parse(&p, text, len);
  if (err == 0) err = make_url(&p, out_url);
  if (err == WS_ERR_SYNTAX && out_reason != NULL) *out_reason = p.reason;

  ws__buf_free(&p.text, p.allocator);
  ws__buf_free(&p.host, p.allocator);
  ws__buf_free(&p.strings, p.allocator);
  return err;
}

void ws_url_free(ws_url *url) {
  if (url == NULL) return;
  url_block *block = (url_block *)url;
  ws__free(block->allocator, block, block->size);
}
