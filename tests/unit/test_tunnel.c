/* test_tunnel.c - the way through HTTP CONNECT and SOCKS5 proxies. Each message
 * of the proxy comes whole, byte by byte and cut at every place, from blocks of
 * exactly its size. */
#include "test.h"
#include "test_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/tunnel.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const ws__http_limits limits = {16384, 8192, 100};

/* -- Playing a proxy ------------------------------------------------------- */

/* One message of the proxy, an answer to one of ours. */
typedef struct message {
  const char *data;
  size_t len;
} message;

#define MESSAGE(literal) \
  { literal, sizeof(literal) - 1 }
#define MAX_MESSAGES 3

typedef struct outcome {
  int err;
  const char *reason;
  bool done;
  uint16_t status;
  char phrase[64];
  char sent[1024]; /* All that the tunnel has written. */
  size_t sent_len;
} outcome;

static ws__proxy *proxy_of(const char *url) {
  ws__proxy *proxy = NULL;
  const char *reason = "";
  if (ws__proxy_parse(url, strlen(url), WS__PROXY_HTTP, &ws__malloc, &proxy,
                      &reason) != 0) {
    fail_msg("%s: %s", url, reason);
  }
  return proxy;
}

/* Begins a tunnel with copies that are gone afterwards: nothing is kept. */
static int begin(ws__tunnel *tunnel, const char *url, const char *host,
                 uint16_t port, const ws_header *headers, size_t header_count,
                 const ws_allocator *allocator, const char **reason) {
  ws__proxy *proxy = proxy_of(url);
  char *host_copy = malloc(strlen(host) + 1);
  assert_non_null(host_copy);
  memcpy(host_copy, host, strlen(host) + 1);
  const int err = ws__tunnel_init(tunnel, proxy, host_copy, port, headers,
                                  header_count, &limits, allocator, reason);
  free(host_copy);
  ws__proxy_free(proxy);
  return err;
}

/* Writes what there is, in two pieces. */
static void drain(ws__tunnel *tunnel, outcome *o) {
  size_t len;
  const uint8_t *data = ws__tunnel_output(tunnel, &len);
  while (len > 0) {
    const size_t piece = (len + 1) / 2;
    assert_true(piece <= sizeof(o->sent) - o->sent_len);
    memcpy(o->sent + o->sent_len, data, piece);
    o->sent_len += piece;
    ws__tunnel_consume(tunnel, piece);
    data = ws__tunnel_output(tunnel, &len);
  }
  assert_null(data);
}

static void feed(ws__tunnel *tunnel, const char *data, size_t len, outcome *o) {
  uint8_t *piece = malloc(len > 0 ? len : 1);
  assert_non_null(piece);
  memcpy(piece, data, len);
  o->err = ws__tunnel_feed(tunnel, piece, len, &o->done, &o->reason);
  free(piece);
  if (o->err != 0) assert_false(o->done);
}

/* Feeds `first` bytes, then pieces of `step`. */
static void feed_cut(ws__tunnel *tunnel, const message *m, size_t first,
                     size_t step, outcome *o) {
  size_t at = 0;
  while (at < m->len && o->err == 0 && !o->done) {
    size_t piece = at == 0 && first > 0 ? first : step;
    if (piece > m->len - at) piece = m->len - at;
    feed(tunnel, m->data + at, piece, o);
    at += piece;
  }
}

/* After its end a tunnel takes and says nothing. */
static void check_end(ws__tunnel *tunnel, const outcome *o) {
  bool done;
  const char *reason;
  if (o->err == 0 && !o->done) return;
  assert_int_equal(
      ws__tunnel_feed(tunnel, (const uint8_t *)"x", 1, &done, &reason),
      WS_ERR_INVALID_STATE);
  assert_false(done);
}

static outcome play_cut(const char *url, const char *host, uint16_t port,
                        const message *messages, size_t first, size_t step,
                        const ws_allocator *allocator) {
  ws__tunnel tunnel;
  outcome o = {0};
  o.err = begin(&tunnel, url, host, port, NULL, 0, allocator, &o.reason);
  for (size_t i = 0; i < MAX_MESSAGES && messages[i].data != NULL; i++) {
    if (o.err != 0 || o.done) break;
    drain(&tunnel, &o);
    feed_cut(&tunnel, &messages[i], first, step, &o);
  }
  if (o.err == 0) drain(&tunnel, &o);
  if (tunnel.allocator != NULL) check_end(&tunnel, &o);
  o.status = tunnel.answer.status;
  if (o.status != 0) {
    snprintf(o.phrase, sizeof(o.phrase), "%s", tunnel.answer.reason);
  }
  ws__tunnel_free(&tunnel);
  ws__tunnel_free(&tunnel);
  return o;
}

/* All ways; returns what they agree on. */
static outcome play(const char *url, const char *host, uint16_t port,
                    const message *messages) {
  test_alloc alloc;
  test_alloc_init(&alloc);
  size_t longest = 0;
  for (size_t i = 0; i < MAX_MESSAGES && messages[i].data != NULL; i++)
    if (messages[i].len > longest) longest = messages[i].len;

  const outcome whole =
      play_cut(url, host, port, messages, 0, SIZE_MAX, &alloc.allocator);
  for (size_t cut = 0; cut < longest; cut++) {
    const outcome o = play_cut(url, host, port, messages, cut,
                               cut == 0 ? 1 : SIZE_MAX, &alloc.allocator);
    assert_int_equal(o.err, whole.err);
    assert_int_equal(o.done, whole.done);
    assert_int_equal(o.status, whole.status);
    assert_string_equal(o.phrase, whole.phrase);
    assert_int_equal(o.sent_len, whole.sent_len);
    assert_memory_equal(o.sent, whole.sent, o.sent_len);
    if (o.err != 0) assert_string_equal(o.reason, whole.reason);
  }
  assert_int_equal(alloc.held, 0);
  return whole;
}

static void assert_sent(const outcome *o, const void *data, size_t len) {
  assert_int_equal(o->sent_len, len);
  assert_memory_equal(o->sent, data, len);
}

static void assert_refused(const outcome *o, const char *part_of_reason) {
  assert_int_equal(o->err, WS_ERR_PROXY);
  const char *reason = o->reason != NULL ? o->reason : "";
  if (strstr(reason, part_of_reason) == NULL) {
    fail_msg("'%s' is no '%s'", reason, part_of_reason);
  }
}

/* -- CONNECT --------------------------------------------------------------- */

#define OK_HEAD "HTTP/1.1 200 OK\r\n\r\n"

static outcome connect_through(const char *url, const char *host, uint16_t port,
                               const char *answer) {
  const message messages[MAX_MESSAGES] = {{answer, strlen(answer)}};
  return play(url, host, port, messages);
}

static const struct {
  const char *url;
  const char *host;
  uint16_t port;
  const char *request;
} requests[] = {
    {"http://p", "example.com", 80,
     "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n"},
    {"https://p", "10.0.0.1", 0,
     "CONNECT 10.0.0.1:0 HTTP/1.1\r\nHost: 10.0.0.1:0\r\n\r\n"},
    {"http://p", "2001:db8::1", 65535,
     "CONNECT [2001:db8::1]:65535 HTTP/1.1\r\n"
     "Host: [2001:db8::1]:65535\r\n\r\n"},
    /* RFC 7617 2. */
    {"http://Aladdin:open%20sesame@p", "h", 443,
     "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n"
     "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"},
    {"http://u@p", "h", 1,
     "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n"
     "Proxy-Authorization: Basic dTo=\r\n\r\n"},
};

static void connect_requests_name_target_and_credentials(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(requests); i++) {
    const outcome o = connect_through(requests[i].url, requests[i].host,
                                      requests[i].port, OK_HEAD);
    assert_true(o.done);
    assert_int_equal(o.status, 200);
    assert_sent(&o, requests[i].request, strlen(requests[i].request));
  }
}

/* RFC 9110 9.3.6: Content-Length and Transfer-Encoding have no meaning. */
static void any_2xx_opens_the_tunnel(void **state) {
  (void)state;
  static const char *const answers[] = {
      OK_HEAD,
      "HTTP/1.0 200 Connection established\r\n\r\n",
      "HTTP/1.1 200 \r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 299 x\r\nVia: 1.1 p\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: x\r\n\r\n",
  };
  for (size_t i = 0; i < COUNT(answers); i++) {
    const outcome o = connect_through("http://p", "h", 80, answers[i]);
    assert_int_equal(o.err, 0);
    assert_true(o.done);
  }
}

static const struct {
  const char *answer;
  const char *part_of_reason;
  uint16_t status;
  const char *phrase;
} bad_answers[] = {
    {"HTTP/1.1 407 Proxy Authentication Required\r\n"
     "Proxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
     "2xx", 407, "Proxy Authentication Required"},
    {"HTTP/1.1 403 \r\n\r\n", "2xx", 403, ""},
    {"HTTP/1.1 502 \x1b[31m\r\n\r\n", "control byte", 0, ""},
    {"HTTP/1.1 502 \xff\xfe\r\n\r\n", "2xx", 502, "\xff\xfe"},
    {"HTTP/1.1 100 Continue\r\n\r\n", "2xx", 100, "Continue"},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "2xx", 101,
     "Switching Protocols"},
    {"HTTP/1.1 199 \r\n\r\n", "2xx", 199, ""},
    {"HTTP/1.1 300 \r\n\r\n", "2xx", 300, ""},
    {"HTTP/1.1 301 x\r\nLocation: http://evil\r\n\r\n", "2xx", 301, "x"},
    {"HTTP/1.1 999 x\r\n\r\n", "2xx", 999, "x"},
    {"HTTP/1.1 200\r\n\r\n", "status", 0, ""},
    {"HTTP/1.1 20 OK\r\n\r\n", "status", 0, ""},
    {"HTTP/1.1 2000 OK\r\n\r\n", "status", 0, ""},
    {"HTTP/2.0 200 OK\r\n\r\n", "version", 0, ""},
    {"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP", 0, ""},
    {"HTTP/1.1 200 OK\n\n", "LF without CR", 0, ""},
    {"HTTP/1.1 200 OK\rX", "CR without LF", 0, ""},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", "empty line", 0, ""},
    {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "header name", 0, ""},
    {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "folded", 0, ""},
    {"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "header name", 0, ""},
    {"\x05\x00", "control byte", 0, ""},
};

/* Row 97; section 2.2 of the fault table: answers that are no. */
static void other_answers_fail_with_status_and_reason(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(bad_answers); i++) {
    const outcome o =
        connect_through("http://user:secret@p", "h", 80, bad_answers[i].answer);
    assert_refused(&o, bad_answers[i].part_of_reason);
    assert_int_equal(o.status, bad_answers[i].status);
    assert_string_equal(o.phrase, bad_answers[i].phrase);
    /* Credentials are never sent again. */
    assert_true(o.sent_len < sizeof(o.sent));
    const char *found = strstr(o.sent, "Basic");
    assert_non_null(found);
    assert_null(strstr(found + 1, "Basic"));
  }
}

static void an_unfinished_answer_is_waited_for(void **state) {
  (void)state;
  for (size_t len = 0; len < sizeof(OK_HEAD) - 1; len++) {
    const message messages[MAX_MESSAGES] = {{OK_HEAD, len}};
    const outcome o = play("http://p", "h", 80, messages);
    assert_int_equal(o.err, 0);
    assert_false(o.done);
  }
}

/* Feeds one piece to a tunnel whose output was drained as often as asked. */
static outcome feed_once(const char *url, const char *data, size_t len,
                         bool is_drained) {
  ws__tunnel tunnel;
  outcome o = {0};
  assert_int_equal(begin(&tunnel, url, "h", 80, NULL, 0, &ws__malloc, NULL), 0);
  if (is_drained) drain(&tunnel, &o);
  feed(&tunnel, data, len, &o);
  check_end(&tunnel, &o);
  ws__tunnel_free(&tunnel);
  return o;
}

/* Section 2.2 of the fault table: early data, 200 with body. */
static void bytes_behind_the_answer_are_refused(void **state) {
  (void)state;
  static const char *const answers[] = {
      OK_HEAD "x",
      OK_HEAD OK_HEAD,
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
      "HTTP/1.1 200 OK\r\n\r\n\r\n",
  };
  for (size_t i = 0; i < COUNT(answers); i++) {
    const outcome o =
        feed_once("http://p", answers[i], strlen(answers[i]), true);
    assert_refused(&o, "behind its answer");
  }
}

static void a_proxy_must_not_speak_before_it_is_asked(void **state) {
  (void)state;
  outcome o = feed_once("http://p", OK_HEAD, strlen(OK_HEAD), false);
  assert_refused(&o, "before it was asked");
  o = feed_once("socks5h://p", "\x05", 1, false);
  assert_refused(&o, "before it was asked");
  /* Method and reply in one go, before the request. */
  o = feed_once("socks5h://p", "\x05\x00\x05\x00", 4, true);
  assert_refused(&o, "before it was asked");
  /* Nothing is nothing. */
  o = feed_once("http://p", "", 0, false);
  assert_int_equal(o.err, 0);
  o = feed_once("socks5h://p", "", 0, false);
  assert_int_equal(o.err, 0);
}

/* limits as for the handshake. */
static void floods_of_headers_end_at_the_limits(void **state) {
  (void)state;
  static const struct {
    const char *line;
    size_t repeat;
    const char *part_of_reason;
  } floods[] = {
      {"A: b\r\n", 100000, "max_headers"},
      {"a", 100000, "max_head_line"},
      {"A: 0123456789012345678901234567890123456789012345678901234567890123"
       "0123456789012345678901234567890123456789012345678901234567890123"
       "0123456789012345678901234567890123456789012345678901234567890123"
       "0123456789012345678901234567890123456789012345678901234567890123\r\n",
       1000, "max_head"},
  };
  for (size_t i = 0; i < COUNT(floods); i++) {
    test_alloc alloc;
    test_alloc_init(&alloc);
    ws__tunnel tunnel;
    outcome o = {0};
    assert_int_equal(begin(&tunnel, "http://p", "h", 80, NULL, 0,
                           &alloc.allocator, &o.reason),
                     0);
    drain(&tunnel, &o);
    feed(&tunnel, "HTTP/1.1 200 OK\r\n", 17, &o);
    for (size_t n = 0; n < floods[i].repeat && o.err == 0; n++)
      feed(&tunnel, floods[i].line, strlen(floods[i].line), &o);
    assert_refused(&o, floods[i].part_of_reason);
    ws__tunnel_free(&tunnel);
    assert_int_equal(alloc.held, 0);
    assert_true(alloc.peak <= 3 * limits.max_head + 4096);
  }
}

static int begin_with(const ws_header *headers, size_t count, outcome *o) {
  ws__tunnel tunnel;
  test_alloc alloc;
  test_alloc_init(&alloc);
  const int err = begin(&tunnel, "http://u:p@p", "h", 80, headers, count,
                        &alloc.allocator, &o->reason);
  if (err == 0) drain(&tunnel, o);
  ws__tunnel_free(&tunnel);
  assert_int_equal(alloc.held, 0);
  return err;
}

#define HEADER(name, value) \
  { name, sizeof(name) - 1, value, sizeof(value) - 1 }

static void headers_of_the_application_are_added(void **state) {
  (void)state;
  static const char start[] = "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n";
  outcome o = {0};
  static const ws_header agent[] = {HEADER("User-Agent", "x"), HEADER("A", "")};
  assert_int_equal(begin_with(agent, 2, &o), 0);
  assert_memory_equal(o.sent, start, sizeof(start) - 1);
  assert_non_null(strstr(o.sent, "Basic dTpw\r\nUser-Agent: x\r\nA: \r\n\r\n"));

  /* What the application says of itself wins over the URL. */
  memset(&o, 0, sizeof(o));
  static const ws_header own[] = {HEADER("proxy-authorization", "Bearer t")};
  assert_int_equal(begin_with(own, 1, &o), 0);
  assert_memory_equal(o.sent, start, sizeof(start) - 1);
  assert_string_equal(o.sent + sizeof(start) - 1,
                      "proxy-authorization: Bearer t\r\n\r\n");
}

/* */
static void headers_that_would_break_the_request_are_refused(void **state) {
  (void)state;
  static const ws_header bad[] = {
      HEADER("A", "b\r\nC: d"),  HEADER("A", "b\nC"),
      HEADER("A", "\0"),         HEADER("A:", "b"),
      HEADER("", "b"),           HEADER("A b", "c"),
      HEADER("Host", "x"),       HEADER("content-length", "1"),
      HEADER("Connection", "x"), HEADER("Transfer-Encoding", "chunked"),
      HEADER("Upgrade", "h2c"),
  };
  outcome o = {0};
  for (size_t i = 0; i < COUNT(bad); i++) {
    o.reason = NULL;
    assert_int_equal(begin_with(&bad[i], 1, &o), WS_ERR_INVALID_ARGUMENT);
    assert_non_null(o.reason);
  }
  static const ws_header twice[] = {HEADER("Proxy-Authorization", "a"),
                                    HEADER("Proxy-Authorization", "b")};
  assert_int_equal(begin_with(twice, 2, &o), WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(o.reason, "twice"));
}

/* -- SOCKS5 ---------------------------------------------------------------- */

#define NO_LOGIN "\x05\x00"
#define LOGIN    "\x05\x02"
#define LOGGED   "\x01\x00"
#define REPLY_4  "\x05\x00\x00\x01\x0a\x00\x00\x01\x04\x38"

typedef struct socks_case {
  const char *url;
  const char *host;
  message answers[MAX_MESSAGES];
  message sent;
} socks_case;

static const socks_case good_exchanges[] = {
    {"socks5h://p",
     "example.com",
     {MESSAGE(NO_LOGIN), MESSAGE(REPLY_4)},
     MESSAGE("\x05\x01\x00" /* one method: none */
             "\x05\x01\x00" /* connect, reserved */
             "\x03\x0b"
             "example.com" /* a name */
             "\x1f\x90")}, /* port 8080 */
    {"socks5://p",
     "192.0.2.1",
     {MESSAGE(NO_LOGIN), MESSAGE(REPLY_4)},
     MESSAGE("\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x1f\x90")},
    {"socks5h://p",
     "192.0.2.1",
     {MESSAGE(NO_LOGIN), MESSAGE(REPLY_4)},
     MESSAGE("\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x1f\x90")},
    {"socks5://p",
     "2001:db8::1",
     {MESSAGE(NO_LOGIN), MESSAGE("\x05\x00\x00\x04" /* succeeded, IPv6 */
                                 "\x20\x01\x0d\xb8\x00\x00\x00\x00"
                                 "\x00\x00\x00\x00\x00\x00\x00\x02"
                                 "\x00\x00")},
     MESSAGE("\x05\x01\x00\x05\x01\x00\x04"
             "\x20\x01\x0d\xb8\x00\x00\x00\x00"
             "\x00\x00\x00\x00\x00\x00\x00\x01"
             "\x1f\x90")},
    {"socks5h://p",
     "h",
     {MESSAGE(NO_LOGIN), MESSAGE("\x05\x00\x00\x03\x01"
                                 "b"
                                 "\x00\x00")},
     MESSAGE("\x05\x01\x00\x05\x01\x00\x03\x01"
             "h"
             "\x1f\x90")},
    /* Credentials, asked for and not. */
    {"socks5h://me:secret@p",
     "h",
     {MESSAGE(LOGIN), MESSAGE(LOGGED), MESSAGE(REPLY_4)},
     MESSAGE("\x05\x02\x00\x02" /* none or login */
             "\x01\x02"
             "me"
             "\x06"
             "secret"
             "\x05\x01\x00\x03\x01"
             "h"
             "\x1f\x90")},
    {"socks5h://me:secret@p",
     "h",
     {MESSAGE(NO_LOGIN), MESSAGE(REPLY_4)},
     MESSAGE("\x05\x02\x00\x02"
             "\x05\x01\x00\x03\x01"
             "h"
             "\x1f\x90")},
};

static void socks_exchanges_are_byte_for_byte_those_of_the_rfc(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(good_exchanges); i++) {
    const socks_case *c = &good_exchanges[i];
    const outcome o = play(c->url, c->host, 8080, c->answers);
    if (o.err != 0) fail_msg("%zu: %s", i, o.reason);
    assert_true(o.done);
    assert_int_equal(o.status, 0);
    assert_sent(&o, c->sent.data, c->sent.len);
  }
}

/* Plays an exchange with the byte `at` of the answer `m` changed. */
static outcome play_changed(const socks_case *c, size_t m, size_t at,
                            uint8_t byte) {
  char changed[32];
  message answers[MAX_MESSAGES];
  memcpy(answers, c->answers, sizeof(answers));
  assert_true(answers[m].len <= sizeof(changed));
  memcpy(changed, answers[m].data, answers[m].len);
  changed[at] = (char)byte;
  answers[m].data = changed;
  return play_cut(c->url, c->host, 8080, answers, 0, SIZE_MAX, &ws__malloc);
}

/* Bytes of the method: of all others than the good one only the offered. */
static void check_changed_method(const socks_case *c, const outcome *o,
                                 uint8_t byte) {
  const bool is_offered =
      byte == 0 || (byte == 2 && strchr(c->url, '@') != NULL);
  assert_false(o->done);
  if (!is_offered) assert_refused(o, "");
}

/* Bytes of the reply: the address and port are not looked at, another length of
 * them does not fit the rest. */
static void check_changed_reply(const outcome *o, const message *reply,
                                size_t at, uint8_t byte) {
  const bool is_length = at == 4 && reply->data[3] == 3;
  const bool is_type = at == 3 && (byte == 1 || byte == 3 || byte == 4);
  if (at > 3 && !is_length) {
    assert_true(o->done);
  } else if (is_length || is_type) {
    assert_false(o->done);
  } else {
    assert_refused(o, "");
  }
}

static void check_changed(const socks_case *c, size_t m, size_t at,
                          uint8_t byte) {
  const bool is_last = m + 1 == MAX_MESSAGES || c->answers[m + 1].data == NULL;
  const outcome o = play_changed(c, m, at, byte);
  if (byte == (uint8_t)c->answers[m].data[at]) assert_true(o.done);
  else if (is_last) check_changed_reply(&o, &c->answers[m], at, byte);
  else if (m == 0 && at == 1) check_changed_method(c, &o, byte);
  else assert_refused(&o, "");
}

static void every_byte_of_the_replies_is_checked(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(good_exchanges); i++) {
    const socks_case *c = &good_exchanges[i];
    for (size_t m = 0; m < MAX_MESSAGES && c->answers[m].data != NULL; m++)
      for (size_t at = 0; at < c->answers[m].len; at++)
        for (unsigned byte = 0; byte <= UINT8_MAX; byte++)
          check_changed(c, m, at, (uint8_t)byte);
  }
}

static const struct {
  const char *url;
  message answers[MAX_MESSAGES];
  const char *part_of_reason;
} bad_exchanges[] = {
    {"socks5h://p", {MESSAGE("HTTP/1.1 400")}, "not SOCKS5"},
    {"socks5h://p", {MESSAGE("\x04\x00")}, "not SOCKS5"},
    {"socks5h://p", {MESSAGE("\x05\xff")}, "wants a user name and password"},
    {"socks5h://p", {MESSAGE("\x05\x02")}, "not offered"},
    {"socks5h://p", {MESSAGE("\x05\x01")}, "not offered"},
    {"socks5h://u:p@p", {MESSAGE("\x05\xff")}, "neither"},
    {"socks5h://u:p@p", {MESSAGE("\x05\x01")}, "not offered"},
    {"socks5h://u:p@p", {MESSAGE(LOGIN), MESSAGE("\x05\x00")}, "malformed"},
    {"socks5h://u:p@p", {MESSAGE(LOGIN), MESSAGE("\x01\x01")}, "not accept"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x04")}, "not SOCKS5"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x01")}, "general"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x02")}, "ruleset"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x03")}, "network"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x04")}, "host unreach"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x05")}, "refused"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x06")}, "TTL"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x07")}, "command"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x08")}, "address type"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x09")}, "unassigned"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\xff")}, "unassigned"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x00\x01")}, "reserved"},
    {"socks5h://p", {MESSAGE(NO_LOGIN), MESSAGE("\x05\x00\x00\x02")}, "type"},
    {"socks5h://p",
     {MESSAGE(NO_LOGIN), MESSAGE("\x05\x00\x00\x03\x00")},
     "empty name"},
};

static void faults_of_a_socks_proxy_are_told_apart(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(bad_exchanges); i++) {
    const outcome o =
        play(bad_exchanges[i].url, "h", 80, bad_exchanges[i].answers);
    assert_refused(&o, bad_exchanges[i].part_of_reason);
  }
}

static void bytes_behind_the_socks_reply_are_refused(void **state) {
  (void)state;
  const message answers[MAX_MESSAGES] = {MESSAGE(NO_LOGIN),
                                         MESSAGE(REPLY_4 "x")};
  const outcome o =
      play_cut("socks5h://p", "h", 80, answers, 0, SIZE_MAX, &ws__malloc);
  assert_refused(&o, "behind its SOCKS5 reply");
}

static void every_length_of_a_bound_name_is_read_to_its_end(void **state) {
  (void)state;
  for (size_t len = 1; len <= 255; len++) {
    char reply[5 + 255 + 2] = {5, 0, 0, 3, (char)len};
    message answers[MAX_MESSAGES] = {MESSAGE(NO_LOGIN), {reply, 5 + len + 2}};
    outcome o = play_cut("socks5h://p", "h", 80, answers, 0, 1, &ws__malloc);
    assert_true(o.done);
    answers[1].len--;
    o = play_cut("socks5h://p", "h", 80, answers, 0, SIZE_MAX, &ws__malloc);
    assert_int_equal(o.err, 0);
    assert_false(o.done);
  }
}

static void names_and_credentials_fit_their_length_byte(void **state) {
  (void)state;
  char host[257] = "";
  char url[600];
  char user[256] = "";
  memset(host, 'h', 256);
  memset(user, 'u', 255);
  snprintf(url, sizeof(url), "socks5h://%s:%s@p", user, user);
  ws__tunnel tunnel;
  outcome o = {0};
  assert_int_equal(
      begin(&tunnel, url, host, 80, NULL, 0, &ws__malloc, &o.reason),
      WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(o.reason, "255"));

  host[255] = '\0';
  const message answers[MAX_MESSAGES] = {MESSAGE(LOGIN), MESSAGE(LOGGED),
                                         MESSAGE(REPLY_4)};
  o = play(url, host, 80, answers);
  assert_true(o.done);
  assert_int_equal(o.sent_len, 4 + 1 + 256 + 256 + 4 + 256 + 2);
  assert_int_equal((uint8_t)o.sent[4 + 1], 255);
  assert_int_equal((uint8_t)o.sent[4 + 1 + 256], 255);
  assert_int_equal((uint8_t)o.sent[4 + 1 + 512 + 4], 255);
}

/* -- Both ------------------------------------------------------------------ */

/* */
static void what_is_no_host_is_refused(void **state) {
  (void)state;
  static const char *const hosts[] = {"",      "a b",   "a\r\nX: y", "a\n",
                                      "a:80",  "[::1]", "a/b",       "a@b",
                                      "::1%1", "\x7f",  "\xc3\xbc",  "1:2"};
  static const char *const urls[] = {"http://p", "socks5h://p"};
  for (size_t i = 0; i < COUNT(hosts); i++) {
    for (size_t j = 0; j < COUNT(urls); j++) {
      ws__tunnel tunnel;
      const char *reason = "";
      assert_int_equal(
          begin(&tunnel, urls[j], hosts[i], 80, NULL, 0, &ws__malloc, &reason),
          WS_ERR_INVALID_ARGUMENT);
      assert_string_equal(reason, "the target is not a host");
      ws__tunnel_free(&tunnel);
    }
  }
}

static void socks5_leaves_no_name_to_the_proxy(void **state) {
  (void)state;
  ws__tunnel tunnel;
  const char *reason = "";
  assert_int_equal(begin(&tunnel, "socks5://p", "example.com", 80, NULL, 0,
                         &ws__malloc, &reason),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(reason, "must be an address"));
}

static void every_failing_allocation_is_reported(void **state) {
  (void)state;
  static const struct {
    const char *url;
    message answers[MAX_MESSAGES];
  } cases[] = {
      {"http://user:password@p",
       {MESSAGE("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\n\r\n")}},
      {"http://user:password@p", {MESSAGE("HTTP/1.1 407 x\r\nA: b\r\n\r\n")}},
      {"socks5h://user:password@p",
       {MESSAGE(LOGIN), MESSAGE(LOGGED), MESSAGE(REPLY_4)}},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    for (size_t n = 0;; n++) {
      test_alloc alloc;
      test_alloc_init(&alloc);
      alloc.fail_at = n;
      const outcome o = play_cut(cases[i].url, "h", 80, cases[i].answers, 0, 1,
                                 &alloc.allocator);
      assert_int_equal(alloc.held, 0);
      if (alloc.calls <= n) break;
      assert_int_equal(o.err, WS_ERR_NO_MEMORY);
    }
  }
}

static void a_zeroed_tunnel_can_be_freed(void **state) {
  (void)state;
  ws__tunnel tunnel = {0};
  ws__tunnel_free(&tunnel);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(connect_requests_name_target_and_credentials),
      cmocka_unit_test(any_2xx_opens_the_tunnel),
      cmocka_unit_test(other_answers_fail_with_status_and_reason),
      cmocka_unit_test(an_unfinished_answer_is_waited_for),
      cmocka_unit_test(bytes_behind_the_answer_are_refused),
      cmocka_unit_test(a_proxy_must_not_speak_before_it_is_asked),
      cmocka_unit_test(floods_of_headers_end_at_the_limits),
      cmocka_unit_test(headers_of_the_application_are_added),
      cmocka_unit_test(headers_that_would_break_the_request_are_refused),
      cmocka_unit_test(socks_exchanges_are_byte_for_byte_those_of_the_rfc),
      cmocka_unit_test(every_byte_of_the_replies_is_checked),
      cmocka_unit_test(faults_of_a_socks_proxy_are_told_apart),
      cmocka_unit_test(bytes_behind_the_socks_reply_are_refused),
      cmocka_unit_test(every_length_of_a_bound_name_is_read_to_its_end),
      cmocka_unit_test(names_and_credentials_fit_their_length_byte),
      cmocka_unit_test(what_is_no_host_is_refused),
      cmocka_unit_test(socks5_leaves_no_name_to_the_proxy),
      cmocka_unit_test(every_failing_allocation_is_reported),
      cmocka_unit_test(a_zeroed_tunnel_can_be_freed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
