/* test_tap.c - what a trace shows of the bytes of a connection. Each case runs
 * whole, cut at every position, and byte by byte. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/tap.h"
#include "test.h"

#define REQUEST                                                            \
  "GET /chat?room=1 HTTP/1.1\r\nHost: a.example\r\nuPGRADE: websocket\r\n" \
  "\r\n"
#define SHOWN_REQUEST             \
  "> GET /chat?room=1 HTTP/1.1\n" \
  "> Host: a.example\n"           \
  "> uPGRADE: websocket\n"

/* A byte string and its length, as two members. */
#define BYTES(text) (text), sizeof(text) - 1

typedef struct tap_case {
  const char *bytes;
  size_t len;
  const char *lines; /* Without time and number. */
} tap_case;

static const tap_case cases[] = {
    /* Heads, and what comes behind them. */
    {BYTES(REQUEST), SHOWN_REQUEST},
    {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x01x"),
     "> GET / HTTP/1.1\n> Host: a\n"},
    {BYTES("HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02hi"),
     "> HTTP/1.1 101 Switching Protocols\n> text FIN 2 hi\n"},
    {BYTES("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\r\nno"),
     "> HTTP/1.1 426 Upgrade Required\n> Upgrade: websocket\n"},
    {BYTES("HTTP/1.1 200 OK\n\nbody\r\n\r\n"), "> HTTP/1.1 200 OK\n"},
    /* what comes from a peer steers no terminal. */
    {BYTES("GET /\x1b[2J\\\xc3\xa9 HTTP/1.1\r\n"),
     "> GET /\\x1b[2J\\x5c\\xc3\\xa9 HTTP/1.1\n"},
    /* Secrets. */
    {BYTES("GET / HTTP/1.1\r\nAuthorization: Basic Zm9vOmJhcg==\r\n"
           "COOKIE:a=b\r\nSet-Cookie: c=d\r\nproxy-authorization: x\r\n"
           "Authorizations: y\r\n"),
     "> GET / HTTP/1.1\n> Authorization: (hidden)\n> COOKIE: (hidden)\n"
     "> Set-Cookie: (hidden)\n> proxy-authorization: (hidden)\n"
     "> Authorizations: y\n"},
    /* Frames, masked ones too: the key is not shown, what it hides is. */
    {BYTES(REQUEST "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
     SHOWN_REQUEST "> text FIN 5 Hello\n"},
    {BYTES(REQUEST "\x81\x00\x01\x01"
                   "a\x89\x01p\x00\x00\x80\x01\n\x8A\x00"),
     SHOWN_REQUEST "> text FIN 0\n> text 1 a\n> ping FIN 1 p\n"
                   "> continuation 0\n> continuation FIN 1 \\x0a\n"
                   "> pong FIN 0\n"},
    {BYTES(REQUEST "\x82\x03\x00\xff\x10\xC1\x02\xaa\x00\x80\x01\x01"),
     SHOWN_REQUEST "> binary FIN 3 00 ff 10\n> text FIN RSV1 2 aa 00\n"
                   "> continuation FIN 1 01\n"},
    {BYTES(REQUEST "\x88\x00\x88\x01\x03\x88\x05\x03\xe8"
                   "bye\x88\x02\x0f\xa0"),
     SHOWN_REQUEST "> close FIN 0\n> close FIN 1 03\n"
                   "> close FIN 5 1000 bye\n> close FIN 2 4000\n"},
    /* What is wrong is shown as it is. */
    {BYTES(REQUEST "\x33\x00\xFB\x00"), SHOWN_REQUEST
     "> opcode 3 RSV2 RSV3 0\n> opcode 11 FIN RSV1 RSV2 RSV3 0\n"},
    {BYTES(REQUEST "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"
                   "0123456789abcdefgh"),
     SHOWN_REQUEST "> binary FIN 18446744073709551615 30 31 32 33 34 35 36 37 "
                   "38 39 61 62 63 64 65 66...\n"},
};

/* -- The trace ------------------------------------------------------------- */

static FILE *file;

static int open_file(void **state) {
  (void)state;
  file = tmpfile();
  return file == NULL;
}

static int close_file(void **state) {
  (void)state;
  return fclose(file);
}

/* What has been traced since the last call, each line from its mark on. */
static char *take_lines(void) {
  struct stat info;
  assert_int_equal(fstat(fileno(file), &info), 0);
  char *text = calloc(1, (size_t)info.st_size + 1);
  char *lines = calloc(1, (size_t)info.st_size + 1);
  assert_true(text != NULL && lines != NULL);
  assert_int_equal(pread(fileno(file), text, (size_t)info.st_size, 0),
                   info.st_size);
  assert_int_equal(ftruncate(fileno(file), 0), 0);
  assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
  size_t len = 0;
  for (const char *line = text; *line != '\0';) {
    const char *end = strchr(line, '\n');
    const char *mark = strpbrk(line, "<>*");
    assert_true(end != NULL && mark != NULL && mark < end);
    memcpy(lines + len, mark, (size_t)(end - mark) + 1);
    len += (size_t)(end - mark) + 1;
    line = end + 1;
  }
  free(text);
  return lines;
}

static void assert_lines(const char *expected) {
  char *lines = take_lines();
  assert_string_equal(lines, expected);
  free(lines);
}

static ws__tap make_tap(const ws__trace *trace) {
  ws__tap tap;
  ws__tap_init(&tap, trace);
  return tap;
}

/* Hands in bytes in a block of their own size. */
static void give(ws__tap *tap, const char *bytes, size_t len) {
  uint8_t *block = malloc(len > 0 ? len : 1);
  assert_non_null(block);
  if (len > 0) memcpy(block, bytes, len);
  ws__tap_read(tap, &tap->sent, block, len);
  free(block);
}

/* -- Tests ----------------------------------------------------------------- */

static void lines_do_not_depend_on_where_bytes_are_cut(void **state) {
  (void)state;
  const ws__trace trace = {.fd = fileno(file)};
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    const tap_case *c = &cases[i];
    for (size_t cut = 0; cut < c->len; cut++) {
      ws__tap tap = make_tap(&trace);
      give(&tap, c->bytes, cut);
      give(&tap, c->bytes + cut, c->len - cut);
      assert_lines(c->lines);
    }
    ws__tap tap = make_tap(&trace);
    for (size_t at = 0; at < c->len; at++)
      give(&tap, c->bytes + at, 1);
    assert_lines(c->lines);
  }
}

static void long_lines_and_payloads_are_cut(void **state) {
  (void)state;
  const ws__trace trace = {.fd = fileno(file)};
  ws__tap tap = make_tap(&trace);
  char line[WS__TAP_LINE + 100];
  char expected[2 * WS__TAP_LINE];
  memset(line, 'x', sizeof(line));
  give(&tap, line, sizeof(line));
  give(&tap, "\r\nUpgrade: websocket\r\n\r\n", 24);
  snprintf(expected, sizeof(expected), "> %.*s...\n> Upgrade: websocket\n",
           WS__TAP_LINE, line);
  assert_lines(expected);

  give(&tap, "\x81\x7e\x01\x00", 4);
  give(&tap, line, 256);
  snprintf(expected, sizeof(expected), "> text FIN 256 %.*s...\n", WS__TAP_TEXT,
           line);
  assert_lines(expected);
}

static void both_directions_are_apart_and_can_begin_anew(void **state) {
  (void)state;
  const ws__trace trace = {.fd = fileno(file)};
  ws__tap tap = make_tap(&trace);
  static const uint8_t response[] = "HTTP/1.1 302 Found\r\n\r\nfar";
  give(&tap, REQUEST "\x81", sizeof(REQUEST));
  ws__tap_read(&tap, &tap.received, response, sizeof(response) - 1);
  assert_lines(SHOWN_REQUEST "< HTTP/1.1 302 Found\n");
  ws__tap_reset(&tap);
  give(&tap, REQUEST, sizeof(REQUEST) - 1);
  assert_lines(SHOWN_REQUEST);
  assert_int_equal(make_tap(&trace).number, tap.number + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_do_not_depend_on_where_bytes_are_cut),
      cmocka_unit_test(long_lines_and_payloads_are_cut),
      cmocka_unit_test(both_directions_are_apart_and_can_begin_anew),
  };
  return cmocka_run_group_tests(tests, open_file, close_file);
}
