/* test_stream.c - bytes in and out of a socket pair, plain and over TLS, in the
 * same words. */
#include "test.h"

#include "io/net.h"
#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef WS_HAVE_OPENSSL
#include "tls_pair.h"
#endif

enum {
  CHUNK = 60000
};

static uint8_t chunk[CHUNK];

static void open_pair(int fds[2]) {
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  for (int i = 0; i < 2; i++)
    assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
}

static ws__stream_status write_chunk(int fd, ws__tls *tls, size_t *out_n) {
  struct iovec piece = ws__net_piece(chunk, sizeof(chunk));
  return ws__stream_write(fd, tls, &piece, 1, out_n);
}

/* Writes until the other end's system takes no more. Returns how much it took.
 */
static size_t fill(int fd, ws__tls *tls) {
  size_t total = 0, n;
  ws__stream_status status;
  do {
    status = write_chunk(fd, tls, &n);
    total += n;
  } while (status == WS__STREAM_OK);
  assert_int_equal(status, WS__STREAM_WANT_WRITE);
  return total;
}

/* -- Plain ----------------------------------------------------------------- */

static void plain_bytes_go_through(void **state) {
  (void)state;
  int fds[2];
  size_t n;
  char buf[16];
  open_pair(fds);
  assert_int_equal(ws__stream_read(fds[0], NULL, buf, sizeof(buf), &n),
                   WS__STREAM_WANT_READ);
  assert_int_equal(n, 0);
  struct iovec pieces[] = {ws__net_piece("in ", 3), ws__net_piece("", 0),
                           ws__net_piece("pieces", 6)};
  assert_int_equal(ws__stream_write(fds[1], NULL, pieces, 3, &n),
                   WS__STREAM_OK);
  assert_int_equal(n, 9);
  assert_int_equal(ws__stream_read(fds[0], NULL, buf, 4, &n), WS__STREAM_OK);
  assert_memory_equal(buf, "in p", n);
  assert_false(ws__stream_pending(NULL)); /* The system tells of the rest. */
  assert_int_equal(ws__stream_read(fds[0], NULL, buf, sizeof(buf), &n),
                   WS__STREAM_OK);
  assert_int_equal(n, 5);
  assert_int_equal(ws__net_shutdown(fds[1]), 0);
  assert_int_equal(ws__stream_read(fds[0], NULL, buf, sizeof(buf), &n),
                   WS__STREAM_EOF);
  assert_int_equal(n, 0);
  ws__stream_close(fds[0], NULL);
  ws__stream_close(fds[1], NULL);
  assert_int_equal(fcntl(fds[0], F_GETFD), -1);
  assert_int_equal(fcntl(fds[1], F_GETFD), -1);
}

static void a_full_system_wants_to_be_written_to_later(void **state) {
  (void)state;
  int fds[2];
  size_t n;
  open_pair(fds);
  assert_true(fill(fds[0], NULL) > 0);
  assert_int_equal(write_chunk(fds[0], NULL, &n), WS__STREAM_WANT_WRITE);
  assert_int_equal(n, 0);
  while (ws__stream_read(fds[1], NULL, chunk, sizeof(chunk), &n) ==
         WS__STREAM_OK)
    continue;
  assert_int_equal(write_chunk(fds[0], NULL, &n), WS__STREAM_OK);
  ws__stream_close(fds[0], NULL);
  ws__stream_close(fds[1], NULL);
}

/* No signal is raised: its default would end this program. */
static void a_write_without_a_peer_fails(void **state) {
  (void)state;
  int fds[2];
  size_t n;
  open_pair(fds);
  ws__stream_close(fds[1], NULL);
  assert_int_equal(write_chunk(fds[0], NULL, &n), WS__STREAM_FAILED);
  assert_int_equal(errno, EPIPE);
  assert_int_equal(n, 0);
  ws__stream_close(fds[0], NULL);
  assert_int_equal(ws__stream_read(fds[0], NULL, chunk, 1, &n),
                   WS__STREAM_FAILED);
  assert_int_equal(errno, EBADF);
}

/* -- TLS ------------------------------------------------------------------- */

static void every_status_of_tls_has_one_of_a_stream(void **state) {
  (void)state;
  assert_int_equal(ws__stream_of_tls(WS__TLS_OK), WS__STREAM_OK);
  assert_int_equal(ws__stream_of_tls(WS__TLS_WANT_READ), WS__STREAM_WANT_READ);
  assert_int_equal(ws__stream_of_tls(WS__TLS_WANT_WRITE),
                   WS__STREAM_WANT_WRITE);
  assert_int_equal(ws__stream_of_tls(WS__TLS_EOF), WS__STREAM_EOF);
  assert_int_equal(ws__stream_of_tls(WS__TLS_TRUNCATED), WS__STREAM_EOF);
  assert_int_equal(ws__stream_of_tls(WS__TLS_FAILED), WS__STREAM_FAILED);
}

#ifdef WS_HAVE_OPENSSL

static cert *self;
static tls_pair pair;

static int open_tls_pair(void **state) {
  (void)state;
  self = cert_new(&(cert_spec){.common_name = "x", .alt_names = "DNS:a.test"});
  const ws_tls_identity identity = tls_identity(self);
  const ws_tls_client_options client = {.ca.text = self->certificate};
  const ws_tls_server_options server = {.identities = &identity,
                                        .identity_count = 1};
  tls_pair_init(&pair, &ws__malloc, &client, &server);
  tls_pair_open(&pair, "a.test");
  return 0;
}

static int close_tls_pair(void **state) {
  (void)state;
  tls_pair_free(&pair);
  cert_free(self);
  return 0;
}

static void tls_bytes_go_through_and_may_be_pending(void **state) {
  (void)state;
  size_t n;
  char buf[16];
  struct iovec pieces[] = {ws__net_piece("in ", 3), ws__net_piece("pieces", 6)};
  assert_int_equal(ws__stream_write(pair.server_fd, pair.server, pieces, 2, &n),
                   WS__STREAM_OK);
  assert_int_equal(n, 9);
  assert_int_equal(ws__stream_read(pair.client_fd, pair.client, buf, 4, &n),
                   WS__STREAM_OK);
  assert_memory_equal(buf, "in p", n);
  assert_true(ws__stream_pending(pair.client));
  assert_int_equal(
      ws__stream_read(pair.client_fd, pair.client, buf, sizeof(buf), &n),
      WS__STREAM_OK);
  assert_int_equal(n, 5);
  assert_false(ws__stream_pending(pair.client));
  assert_int_equal(
      ws__stream_read(pair.client_fd, pair.client, buf, sizeof(buf), &n),
      WS__STREAM_WANT_READ);
}

static void a_full_system_stops_tls_too(void **state) {
  (void)state;
  assert_true(fill(pair.client_fd, pair.client) > 0);
  /* In the middle of a record there is no way to say that it ends. */
  assert_int_equal(ws__tls_shutdown(pair.client), WS__TLS_OK);
}

/* Said or not, and both ways of closing a stream. */
static void an_end_of_tls_is_an_end(void **state) {
  (void)state;
  size_t n;
  char buf[16];
  assert_int_equal(ws__tls_shutdown(pair.server), WS__TLS_OK);
  assert_int_equal(ws__net_shutdown(pair.server_fd), 0);
  assert_int_equal(
      ws__stream_read(pair.client_fd, pair.client, buf, sizeof(buf), &n),
      WS__STREAM_EOF);
  assert_int_equal(ws__net_recv(pair.client_fd, buf, 1, &n), WS__IO_EOF);
  ws__stream_close(pair.client_fd, pair.client);
  pair.client = NULL;
  pair.client_fd = -1;
  assert_int_equal(
      ws__stream_read(pair.server_fd, pair.server, buf, sizeof(buf), &n),
      WS__STREAM_EOF);
}

static void what_is_no_tls_fails(void **state) {
  (void)state;
  size_t n;
  char buf[16];
  assert_int_equal(ws__net_send(pair.server_fd, "HTTP/1.1 400\r\n", 14, &n),
                   WS__IO_OK);
  assert_int_equal(
      ws__stream_read(pair.client_fd, pair.client, buf, sizeof(buf), &n),
      WS__STREAM_FAILED);
  assert_int_equal(n, 0);
  assert_int_equal(ws__tls_error(pair.client), WS_ERR_TLS);
}

#define TLS_TEST(name) \
  cmocka_unit_test_setup_teardown(name, open_tls_pair, close_tls_pair)
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_bytes_go_through),
      cmocka_unit_test(a_full_system_wants_to_be_written_to_later),
      cmocka_unit_test(a_write_without_a_peer_fails),
      cmocka_unit_test(every_status_of_tls_has_one_of_a_stream),
#ifdef WS_HAVE_OPENSSL
      TLS_TEST(tls_bytes_go_through_and_may_be_pending),
      TLS_TEST(a_full_system_stops_tls_too),
      TLS_TEST(an_end_of_tls_is_an_end),
      TLS_TEST(what_is_no_tls_fails),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
