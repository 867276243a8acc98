/* test_tls.c - what tls.c adds to a library, over a library that the test
 * plays: it says what it is told to, among it what none should. */
#include "test.h"

#include "io/tls.h"

#include <errno.h>

/* -- The library ----------------------------------------------------------- */

/* What the next call answers. */
typedef struct answer {
  ws__tls_status status;
  size_t n;
  bool is_pending; /* Afterwards. */
  size_t waiting;  /* The same, of a write. */
} answer;

typedef struct played {
  ws__tls base;
  const answer *answers;
  size_t answered;
  uint8_t written[100];
  size_t written_len;
} played;

static answer next_answer(ws__tls *tls) {
  played *p = (played *)tls;
  return p->answers[p->answered++];
}

static ws__tls_status play_handshake(ws__tls *tls) {
  return next_answer(tls).status;
}

static ws__tls_status play_read(ws__tls *tls, void *buf, size_t len,
                                size_t *out_n) {
  const answer a = next_answer(tls);
  memset(buf, 'r', a.n < len ? a.n : len);
  *out_n = a.n;
  return a.status;
}

static bool play_pending(ws__tls *tls) {
  const played *p = (played *)tls;
  return p->answered > 0 && p->answers[p->answered - 1].is_pending;
}

static ws__tls_status play_write(ws__tls *tls, const void *data, size_t len,
                                 size_t *out_n) {
  played *p = (played *)tls;
  const answer a = next_answer(tls);
  tls->waiting = a.waiting;
  if (a.status == WS__TLS_OK && a.n <= len) {
    memcpy(p->written + p->written_len, data, a.n);
    p->written_len += a.n;
  }
  *out_n = a.n;
  return a.status;
}

static ws__tls_status play_shutdown(ws__tls *tls) {
  return next_answer(tls).status;
}

static const ws__tls_backend library = {
    .handshake = play_handshake,
    .read = play_read,
    .pending = play_pending,
    .write = play_write,
    .shutdown = play_shutdown,
};

/* A connection that will get these answers, after its handshake. */
#define OPEN(...)                                   \
  {                                                 \
    .base = {.backend = &library, .is_open = true}, \
    .answers = (const answer[]) {                   \
      __VA_ARGS__                                   \
    }                                               \
  }

static ws__tls_status read_10(played *p, size_t *out_n) {
  uint8_t buf[10];
  return ws__tls_read(&p->base, buf, sizeof(buf), out_n);
}

/* Writes "hello" in two pieces. */
static ws__tls_status write_hello(played *p, size_t *out_n) {
  char text[] = "hello";
  const struct iovec pieces[] = {{text, 2}, {text + 2, 3}};
  return ws__tls_write(&p->base, pieces, 2, out_n);
}

/* -- Tests ----------------------------------------------------------------- */

static void a_handshake_says_what_it_waits_for_and_is_made_once(void **state) {
  (void)state;
  played p = {.base = {.backend = &library},
              .answers = (const answer[]){{.status = WS__TLS_WANT_READ},
                                          {.status = WS__TLS_WANT_WRITE},
                                          {.status = WS__TLS_OK}}};
  assert_int_equal(ws__tls_handshake(&p.base), WS__TLS_WANT_READ);
  assert_int_equal(ws__tls_handshake(&p.base), WS__TLS_WANT_WRITE);
  assert_int_equal(ws__tls_handshake(&p.base), WS__TLS_OK);
  assert_int_equal(ws__tls_handshake(&p.base), WS__TLS_OK);
  assert_int_equal(p.answered, 3);
}

static void nothing_flows_after_a_failed_handshake(void **state) {
  (void)state;
  played p = {.base = {.backend = &library}};
  assert_int_equal(ws__tls_fail(&p.base, WS_ERR_CERTIFICATE, "expired"),
                   WS__TLS_FAILED);
  size_t n = 1;
  assert_int_equal(ws__tls_handshake(&p.base), WS__TLS_FAILED);
  assert_int_equal(write_hello(&p, &n), WS__TLS_FAILED);
  assert_int_equal(n, 0);
  assert_int_equal(read_10(&p, &n), WS__TLS_FAILED);
  assert_int_equal(ws__tls_shutdown(&p.base), WS__TLS_OK);
  assert_int_equal(p.answered, 0);
  assert_int_equal(ws__tls_error(&p.base), WS_ERR_CERTIFICATE);
  assert_string_equal(ws__tls_detail(&p.base), "expired");
}

#ifdef NDEBUG
static void nothing_flows_before_the_handshake(void **state) {
  (void)state;
  played p = {.base = {.backend = &library}};
  size_t n;
  assert_int_equal(write_hello(&p, &n), WS__TLS_FAILED);
  assert_int_equal(ws__tls_error(&p.base), WS_ERR_INVALID_STATE);
  assert_int_equal(p.answered, 0);
}
#endif

/* */
static void no_count_is_believed_that_cannot_be(void **state) {
  (void)state;
  const size_t wrong[] = {0, 11, SIZE_MAX};
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    played reading = OPEN({.n = wrong[i]});
    played writing = OPEN({.n = wrong[i]});
    size_t n;
    assert_int_equal(read_10(&reading, &n), WS__TLS_FAILED);
    assert_int_equal(n, 0);
    assert_int_equal(ws__tls_error(&reading.base), WS_ERR_TLS);
    assert_int_equal(write_hello(&writing, &n), WS__TLS_FAILED);
    assert_int_equal(n, 0);
    assert_int_equal(ws__tls_error(&writing.base), WS_ERR_TLS);
  }
}

static void reading_goes_on_while_something_is_pending(void **state) {
  (void)state;
  played p = OPEN({.n = 3, .is_pending = true}, {.n = 4, .is_pending = true},
                  {.n = 3, .is_pending = true}, {.n = 1}, {.n = 2});
  size_t n;
  assert_int_equal(read_10(&p, &n), WS__TLS_OK);
  assert_int_equal(n, 10);
  assert_true(ws__tls_pending(&p.base));
  assert_int_equal(read_10(&p, &n), WS__TLS_OK);
  assert_int_equal(n, 1);
  assert_false(ws__tls_pending(&p.base));
  assert_int_equal(p.answered, 4);
}

static void what_a_read_waits_for_is_said_with_no_bytes(void **state) {
  (void)state;
  played p = OPEN({.status = WS__TLS_WANT_WRITE},
                  {.status = WS__TLS_WANT_READ, .is_pending = true},
                  {.n = 5, .is_pending = true},
                  {.status = WS__TLS_WANT_READ, .is_pending = true});
  size_t n;
  assert_int_equal(read_10(&p, &n), WS__TLS_WANT_WRITE);
  assert_int_equal(n, 0);
  assert_int_equal(read_10(&p, &n), WS__TLS_WANT_READ);
  assert_false(ws__tls_pending(&p.base));
  assert_int_equal(read_10(&p, &n), WS__TLS_OK);
  assert_int_equal(n, 5);
  assert_false(ws__tls_pending(&p.base));
}

static void an_end_comes_after_the_bytes_before_it_and_stays(void **state) {
  (void)state;
  const ws__tls_status ends[] = {WS__TLS_EOF, WS__TLS_TRUNCATED,
                                 WS__TLS_FAILED};
  for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
    played p = OPEN({.n = 5, .is_pending = true}, {.status = ends[i]});
    size_t n;
    assert_int_equal(read_10(&p, &n), WS__TLS_OK);
    assert_int_equal(n, 5);
    for (int again = 0; again < 2; again++) {
      assert_true(ws__tls_pending(&p.base));
      assert_int_equal(read_10(&p, &n), ends[i]);
      assert_int_equal(n, 0);
    }
    assert_int_equal(p.answered, 2);
  }
}

static void a_write_may_wait_for_either_direction(void **state) {
  (void)state;
  const ws__tls_status waits[] = {WS__TLS_WANT_READ, WS__TLS_WANT_WRITE};
  for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
    played p = OPEN({.n = 1}, {.n = 2}, {.status = waits[i]}, {.n = 5},
                    {.status = WS__TLS_OK});
    size_t n;
    assert_int_equal(write_hello(&p, &n), waits[i]);
    assert_int_equal(n, 3);
    assert_memory_equal(p.written, "hel", 3);
    /* In the middle of a record there is no room for an alert. */
    assert_int_equal(ws__tls_shutdown(&p.base), WS__TLS_OK);
    assert_int_equal(p.answered, 3);
    assert_int_equal(write_hello(&p, &n), WS__TLS_OK);
    assert_int_equal(n, 5);
    assert_int_equal(ws__tls_shutdown(&p.base), WS__TLS_OK);
    assert_int_equal(p.answered, 5);
  }
}

/* Records of 2, 1, and 2 bytes, of which two wait, with heads. */
static void what_waits_is_not_taken_and_not_written_again(void **state) {
  (void)state;
  played p = OPEN({.n = 2, .waiting = 5}, {.n = 1, .waiting = 9},
                  {.status = WS__TLS_WANT_WRITE, .waiting = 9},
                  {.status = WS__TLS_WANT_WRITE, .waiting = 2}, {.n = 2});
  size_t n;
  assert_int_equal(write_hello(&p, &n), WS__TLS_WANT_WRITE);
  assert_int_equal(n, 0);
  assert_int_equal(write_hello(&p, &n), WS__TLS_WANT_WRITE);
  assert_int_equal(n, 1);
  char rest[] = "ello";
  const struct iovec piece = {rest, 4};
  assert_int_equal(ws__tls_write(&p.base, &piece, 1, &n), WS__TLS_OK);
  assert_int_equal(n, 4);
  assert_int_equal(p.written_len, 5);
  assert_memory_equal(p.written, "hello", 5);
}

static void a_failed_write_does_not_end_reading(void **state) {
  (void)state;
  played p = OPEN({.status = WS__TLS_FAILED}, {.n = 5});
  size_t n;
  assert_int_equal(write_hello(&p, &n), WS__TLS_FAILED);
  ws__tls_fail(&p.base, WS_ERR_TRANSPORT, "Broken pipe");
  assert_int_equal(write_hello(&p, &n), WS__TLS_FAILED);
  assert_int_equal(read_10(&p, &n), WS__TLS_OK);
  assert_int_equal(n, 5);
}

static void the_first_failure_is_kept(void **state) {
  (void)state;
  played p = OPEN({.n = 0});
  ws__tls_fail(&p.base, WS_ERR_TLS, "first\n\x1b");
  ws__tls_fail(&p.base, WS_ERR_TRANSPORT, "second");
  assert_int_equal(ws__tls_error(&p.base), WS_ERR_TLS);
  assert_string_equal(ws__tls_detail(&p.base), "first??");
}

/* The peer has refused us, said so and gone: what we wrote then failed. */
static void an_alert_tells_more_than_a_failed_write(void **state) {
  (void)state;
  played p = OPEN({.n = 0});
  ws__tls_fail_by_system(&p.base, WS_ERR_TRANSPORT, EPIPE, "Broken pipe");
  assert_int_equal(ws__tls_system_error(&p.base), EPIPE);
  ws__tls_fail(&p.base, WS_ERR_TLS, "alert");
  assert_int_equal(ws__tls_error(&p.base), WS_ERR_TLS);
  assert_int_equal(ws__tls_system_error(&p.base), 0);
  assert_string_equal(ws__tls_detail(&p.base), "alert");
}

#ifndef WS_HAVE_OPENSSL
static void a_build_without_tls_says_so(void **state) {
  (void)state;
  static const ws_tls_client_options client;
  static const ws_tls_server_options server;
  ws_tls_context *context;
  char detail[WS__DETAIL_SIZE] = "";
  assert_int_equal(
      ws__tls_client_context(&ws__malloc, &client, &context, detail),
      WS_ERR_TLS);
  assert_string_equal(detail, "this libws was built without TLS");
  detail[0] = '\0';
  assert_int_equal(
      ws__tls_server_context(&ws__malloc, &server, &context, detail),
      WS_ERR_TLS);
  assert_string_equal(detail, "this libws was built without TLS");
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_handshake_says_what_it_waits_for_and_is_made_once),
      cmocka_unit_test(nothing_flows_after_a_failed_handshake),
#ifdef NDEBUG
      cmocka_unit_test(nothing_flows_before_the_handshake),
#endif
      cmocka_unit_test(no_count_is_believed_that_cannot_be),
      cmocka_unit_test(reading_goes_on_while_something_is_pending),
      cmocka_unit_test(what_a_read_waits_for_is_said_with_no_bytes),
      cmocka_unit_test(an_end_comes_after_the_bytes_before_it_and_stays),
      cmocka_unit_test(a_write_may_wait_for_either_direction),
      cmocka_unit_test(what_waits_is_not_taken_and_not_written_again),
      cmocka_unit_test(a_failed_write_does_not_end_reading),
      cmocka_unit_test(the_first_failure_is_kept),
      cmocka_unit_test(an_alert_tells_more_than_a_failed_write),
#ifndef WS_HAVE_OPENSSL
      cmocka_unit_test(a_build_without_tls_says_so),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
