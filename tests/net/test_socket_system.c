/* test_socket_system.c - what the system has to do with the end of a
 * connection: its errno and its words reach the application. */
#include <errno.h>
#include <stdio.h>

#include "io/net.h"
#include "raw_peer.h"

/* More than is written at the end of the turn only. */
#define MUCH ((size_t)256 * 1024)

static void assert_system_error(const net_end *end, ws_err err, int error) {
  char text[WS__DETAIL_SIZE];
  assert_int_equal(end->cause.err, err);
  assert_int_equal(end->cause.system_error, error);
  assert_non_null(strstr(end->cause_text, ws__errno_text(error, text)));
}

/* What is left of a connection that the peer has reset. */
static bool is_reset(int error) {
  return error == ECONNRESET || error == EPIPE;
}

/* Row 97. */
static void a_refused_connection_has_its_errno(void **state) {
  net *n = *state;
  net_end *end = net_connect(n, raw_nowhere(n), NULL);
  net_finish(n, end);
  assert_system_error(end, WS_ERR_CONNECT, ECONNREFUSED);
}

static void a_unix_socket_that_is_not_there_has_its_errno(void **state) {
  net *n = *state;
  char url[128];
  snprintf(url, sizeof(url), "ws+unix:%s:/", net_path(n, "nobody"));
  net_end *end = net_connect(n, url, NULL);
  net_finish(n, end);
  assert_system_error(end, WS_ERR_CONNECT, ENOENT);
}

/* Row 247. */
static void a_reset_has_its_errno(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_reset(peer);
  net_finish(n, end);
  assert_system_error(end, WS_ERR_TRANSPORT, ECONNRESET);
}

static void a_fault_of_the_peer_has_none(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_frame(peer, 0x83, "", 0);
  net_finish(n, end);
  assert_cause(end, WS_ERR_INVALID_OPCODE, WS_SIDE_PEER, 1002);
  assert_int_equal(end->cause.system_error, 0);
}

/* The Close frame that tells of the fault cannot leave; that is not why the
 * connection has failed. */
static void a_reset_behind_a_fault_does_not_stand_for_it(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_frame(peer, 0x83, "", 0);
  raw_reset(peer);
  net_finish(n, end);
  assert_int_equal(end->cause.err, WS_ERR_INVALID_OPCODE);
  assert_string_equal(end->cause_text, ws_strerror(WS_ERR_INVALID_OPCODE));
  assert_int_equal(end->cause.system_error, 0);
}

/* -- Several at once ------------------------------------------------------- */

static uint8_t much[MUCH];

/* Each of many that break in one turn knows why, not only the last. */
static void sockets_that_break_together_all_know_why(void **state) {
  net *n = *state;
  net_end *ends[3];
  raw *peers[3];
  for (size_t i = 0; i < COUNT(ends); i++)
    raw_open(n, NULL, NULL, &ends[i], &peers[i]);
  for (size_t i = 0; i < COUNT(ends); i++)
    raw_reset(peers[i]);
  for (size_t i = 0; i < COUNT(ends); i++)
    ws_socket_send_binary(ends[i]->socket, much, MUCH);
  for (size_t i = 0; i < COUNT(ends); i++) {
    net_finish(n, ends[i]);
    assert_true(is_reset(ends[i]->cause.system_error));
    assert_system_error(ends[i], WS_ERR_TRANSPORT, ends[i]->cause.system_error);
  }
}

/* In an error event of one socket another breaks. */
static void break_another(net *n, net_end *end, const ws_event *event) {
  net_end *another = n->arg;
  if (event->type != WS_EVENT_ERROR || end == another) return;
  char before[WS__DETAIL_SIZE];
  snprintf(before, sizeof(before), "%s", event->u.error.message);
  ws_socket_send_binary(another->socket, much, MUCH);
  assert_string_equal(event->u.error.message, before);
}

/* A server's socket is sent to while a client's, which could not connect, has
 * its event: the words differ. */
static void
the_words_of_an_event_stay_while_another_socket_fails(void **state) {
  net *n = *state;
  net_end *another;
  raw *peer;
  raw_open(n, NULL, NULL, &another, &peer);
  n->arg = another;
  n->on_event = break_another;
  raw_reset(peer);
  net_end *end = net_connect(n, raw_nowhere(n), NULL);
  ws_socket_pause(another->socket); /* So that it does not see the reset. */
  net_finish(n, end);
  assert_system_error(end, WS_ERR_CONNECT, ECONNREFUSED);
  net_finish(n, another);
  assert_true(is_reset(another->cause.system_error));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(a_refused_connection_has_its_errno),
      CASE(a_unix_socket_that_is_not_there_has_its_errno),
      BOTH_ROLES(a_reset_has_its_errno),
      BOTH_ROLES(a_fault_of_the_peer_has_none),
      BOTH_ROLES(a_reset_behind_a_fault_does_not_stand_for_it),
      BOTH_ROLES(sockets_that_break_together_all_know_why),
      AS_SERVER(the_words_of_an_event_stay_while_another_socket_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
