/* test_linger.c - last words: they arrive although the peer goes on sending,
 * and who hears them does not stay for ever. Time is what the test says. */
#include "timed_loop.h"

#include "io/linger.h"
#include "io/net.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* -- A peer ---------------------------------------------------------------- */

static int ours, peer;

static int set_up(void **state) {
  (void)state;
  timed_loop_set_up(1000000);
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  for (int i = 0; i < 2; i++)
    assert_int_equal(fcntl(fds[i], F_SETFL, O_NONBLOCK), 0);
  ours = fds[0];
  peer = fds[1];
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  timed_loop_tear_down();
  assert_int_equal(fcntl(ours, F_GETFD), -1);
  ws__net_close(peer);
  return 0;
}

static void turn(void) {
  assert_int_equal(ws_loop_dispatch(loop, 0), 0);
}

static bool is_open(void) {
  return fcntl(ours, F_GETFD) != -1;
}

static void say_goodbye(void) {
  size_t n;
  assert_int_equal(ws__net_send(ours, "bye", 3, &n), WS__IO_OK);
  assert_int_equal(ws__net_shutdown(ours), 0);
  ws__linger(loop, ours);
}

static void assert_heard(void) {
  char buf[8];
  size_t n;
  assert_int_equal(ws__net_recv(peer, buf, sizeof(buf), &n), WS__IO_OK);
  assert_int_equal(n, 3);
  assert_memory_equal(buf, "bye", 3);
}

/* -- Tests ----------------------------------------------------------------- */

static void what_comes_is_thrown_away_until_the_peer_closes(void **state) {
  (void)state;
  size_t n;
  say_goodbye();
  assert_false(ws_loop_is_alive(loop)); /* Nobody waits for this. */
  for (int i = 0; i < 3; i++) {
    assert_int_equal(ws__net_send(peer, "still talking", 13, &n), WS__IO_OK);
    turn();
    assert_true(is_open());
    assert_int_equal(ws__net_recv(ours, &(char){0}, 1, &n), WS__IO_AGAIN);
  }
  assert_heard();
  assert_int_equal(ws__net_shutdown(peer), 0);
  turn();
  assert_false(is_open());
}

static void a_peer_that_stays_is_left(void **state) {
  (void)state;
  say_goodbye();
  now += WS__LINGER_MS - 1;
  turn();
  assert_true(is_open());
  now += 1;
  turn();
  assert_false(is_open());
  assert_heard();
}

static void a_peer_that_sends_on_and_on_is_left(void **state) {
  (void)state;
  static const char data[65536];
  say_goodbye();
  size_t sent = 0;
  while (is_open()) {
    size_t n = 0;
    if (ws__net_send(peer, data, sizeof(data), &n) == WS__IO_OK) sent += n;
    turn();
    assert_true(sent <= WS__LINGER_BYTES + ((size_t)1 << 20));
  }
  assert_true(sent >= WS__LINGER_BYTES);
}

static void a_reset_is_an_end(void **state) {
  (void)state;
  say_goodbye();
  ws__net_close(peer); /* With unread words. */
  peer = -1;
  turn();
  assert_false(is_open());
}

static void a_loop_that_ends_waits_for_nobody(void **state) {
  (void)state;
  say_goodbye();
}

static void without_memory_there_is_no_waiting(void **state) {
  (void)state;
  alloc.calls = 0;
  alloc.fail_at = 0;
  alloc.keep_failing = true;
  say_goodbye();
  assert_false(is_open());
  assert_heard();
}

/* Without room in the loop, neither. */
static void with_too_little_memory_there_is_no_waiting(void **state) {
  (void)state;
  alloc.calls = 0;
  alloc.fail_at = 1;
  say_goodbye();
  assert_true(alloc.calls > 1);
  assert_false(is_open());
}

/* Last words are no way past the limits on connections. */
static void only_so_many_are_waited_for(void **state) {
  (void)state;
  int ends[WS__LINGER_MAX][2];
  for (int i = 0; i < WS__LINGER_MAX; i++) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), 0);
    ws__linger(loop, ends[i][0]);
    assert_int_not_equal(fcntl(ends[i][0], F_GETFD), -1);
  }
  say_goodbye();
  assert_false(is_open());
  assert_heard();
  for (int i = 0; i < WS__LINGER_MAX; i++)
    close(ends[i][1]);
  while (loop->lingerers > 0)
    turn();
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[0]), 0);
  ws__linger(loop, ends[0][0]);
  assert_int_equal(loop->lingerers, 1);
  close(ends[0][1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(what_comes_is_thrown_away_until_the_peer_closes),
      TEST(a_peer_that_stays_is_left),
      TEST(a_peer_that_sends_on_and_on_is_left),
      TEST(a_reset_is_an_end),
      TEST(a_loop_that_ends_waits_for_nobody),
      TEST(without_memory_there_is_no_waiting),
      TEST(with_too_little_memory_there_is_no_waiting),
      TEST(only_so_many_are_waited_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
