/* test_late.c - a loop that comes late: after a handler that took long, or a
 * machine that slept. Peers are not blamed for that. */
#include "api/socket.h"
#include "io/clock.h"
#include "raw_peer.h"

#define PING_MS 10000

/* -- Time ------------------------------------------------------------------ */

static uint64_t ahead; /* Of the system's clock. */

uint64_t __real_ws__clock_ms(void);
uint64_t __wrap_ws__clock_ms(void);
uint64_t __wrap_ws__clock_ms(void) {
  return __real_ws__clock_ms() + ahead;
}

/* -- Tests ----------------------------------------------------------------- */

/* Gives a socket the turn that its deadline brings, as in a turn of the loop
 * that has no room for the socket's descriptor. */
static void let_deadline_come(net *n, const net_end *end) {
  ws__source *source = &end->socket->source;
  ws_event event;
  n->loop->now = ws__clock_ms();
  n->loop->is_turning = true;
  source->ops->begin(source, WS__READY_DEADLINE);
  while (source->ops->next(source, &event))
    net_take(n, &event);
  n->loop->is_turning = false;
}

/* A peer that has answered in time is not given up because nobody has looked at
 * the answer yet. */
static void what_has_come_is_read_before_time_is_up(void **state) {
  net *n = *state;
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.ping_interval = conn.ping_timeout = PING_MS;
  net_end *end;
  raw *peer;
  raw_open(n, &conn, NULL, &end, &peer);
  ahead += PING_MS;
  net_turn(n, 0);
  assert_int_equal(raw_read_frame(peer).first_byte, 0x89);
  raw_text(peer, "here");
  raw_deliver(peer);
  ahead += (uint64_t)2 * PING_MS;
  let_deadline_come(n, end);
  assert_log(end, "text here");
  ahead += PING_MS; /* With another ping it goes on. */
  net_turn(n, 0);
  assert_int_equal(raw_read_frame(peer).first_byte, 0x89);
  ahead += (uint64_t)2 * PING_MS;
  let_deadline_come(n, end);
  net_finish(n, end);
  assert_log(end, "error PING_TIMEOUT, close 1006 unclean");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_ROLES(what_has_come_is_read_before_time_is_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
