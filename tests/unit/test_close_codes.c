/* test_close_codes.c - all 65,536 close codes: from a peer, for ws_conn_close()
 * and for ws_conn_close_with(), and the order in which arguments are checked in
 * every state (RFC 6455 7.4, WHATWG close(), behaviour rows 190 to 199, 214,
 * 223 to 224, 236). */
#include <stdlib.h>

#include "driver.h"
#include "test.h"

#define CODES 65536

/* RFC 6455 7.4.1, 7.4.2 and the IANA registry: what may be on the wire. */
static bool is_wire_code(unsigned code) {
  if (code >= 1000 && code <= 1003) return true;
  if (code >= 1007 && code <= 1014) return true;
  return code >= 3000 && code <= 4999;
}

/* WHATWG close(), step 1. */
static bool is_application_code(unsigned code) {
  return code == 1000 || (code >= 3000 && code <= 4999);
}

static ws_conn_config *new_config(ws_role role) {
  ws_conn_options options;
  driver_options_init(&options);
  ws_conn_config *config = NULL;
  assert_int_equal(ws_conn_config_new(role, &options, &config, NULL), 0);
  return config;
}

static driver open_driver(ws_role role, ws_conn_config *config) {
  driver d = {0};
  assert_true(driver_open(&d, role, config, &(driver_mode){0}, NULL, NULL, 0));
  return d;
}

/* -- From a peer ----------------------------------------------------------- */

static void receive_code(ws_role role, ws_conn_config *config, unsigned code,
                         transcript *expected) {
  transcript_clear(expected);
  if (is_wire_code(code)) {
    transcript_add(expected, "event close %u clean:\n", code);
    transcript_add(expected, "out: 88 02 %02x %02x\n", code >> 8, code & 0xFF);
  } else {
    transcript_add(expected, "event error INVALID_CLOSE_CODE 1002 peer\n"
                             "event close 1006 unclean:\n"
                             "tells 1002\n");
  }
  driver d = open_driver(role, config);
  const uint8_t frame[] = {0x88, 2, (uint8_t)(code >> 8), (uint8_t)code};
  driver_feed_frame(&d, frame, sizeof(frame));
  driver_eof(&d); /* A client waits for it. */
  driver_log_output(&d);
  assert_string_equal(transcript_text(&d.log), transcript_text(expected));
  driver_free(&d);
}

static void receive_codes(ws_role role) {
  ws_conn_config *config = new_config(role);
  transcript expected = {0};
  for (unsigned code = 0; code < CODES; code++) {
    receive_code(role, config, code, &expected);
  }
  transcript_free(&expected);
  ws_conn_config_free(config);
}

/* Rows 214, 236. */
static void a_client_accepts_wire_codes_and_fails_others_1002(void **state) {
  (void)state;
  receive_codes(WS_ROLE_CLIENT);
}

static void a_server_accepts_wire_codes_and_fails_others_1002(void **state) {
  (void)state;
  receive_codes(WS_ROLE_SERVER);
}

/* -- From the application
 * ------------------------------------------------------ */

typedef int (*close_fn)(ws_conn *conn, uint16_t code, const char *reason,
                        size_t reason_len);

static void send_code(ws_conn_config *config, close_fn close, unsigned code) {
  driver d = open_driver(WS_ROLE_SERVER, config);
  assert_int_equal(close(d.conn, (uint16_t)code, NULL, 0), 0);
  assert_int_equal(ws_conn_state(d.conn), WS_STATE_CLOSING);
  driver_settle(&d);
  const uint8_t frame[] = {0x88, 2, (uint8_t)(code >> 8), (uint8_t)code};
  assert_int_equal(d.out_len, sizeof(frame));
  assert_memory_equal(d.out, frame, sizeof(frame));
  driver_free(&d);
}

/* One connection sees all that is refused, so each leaves it as it was. */
static void send_codes(close_fn close, bool (*is_allowed)(unsigned)) {
  ws_conn_config *config = new_config(WS_ROLE_SERVER);
  driver d = open_driver(WS_ROLE_SERVER, config);
  for (unsigned code = 1; code < CODES; code++) {
    if (is_allowed(code)) {
      send_code(config, close, code);
      continue;
    }
    assert_int_equal(close(d.conn, (uint16_t)code, NULL, 0),
                     WS_ERR_INVALID_ACCESS);
    assert_int_equal(ws_conn_state(d.conn), WS_STATE_OPEN);
  }
  driver_settle(&d);
  assert_int_equal(d.out_len, 0);
  assert_int_equal(d.events, 0);
  driver_free(&d);
  ws_conn_config_free(config);
}

/* Row 190. */
static void close_takes_1000_and_3000_to_4999_only(void **state) {
  (void)state;
  send_codes(ws_conn_close, is_application_code);
}

/* Row 379. */
static void close_with_takes_every_wire_code_and_no_other(void **state) {
  (void)state;
  send_codes(ws_conn_close_with, is_wire_code);
}

/* Rows 202, 204. */
static void code_0_means_none(void **state) {
  (void)state;
  ws_conn_config *config = new_config(WS_ROLE_SERVER);
  static const close_fn both[] = {ws_conn_close, ws_conn_close_with};
  for (size_t i = 0; i < 2; i++) {
    driver d = open_driver(WS_ROLE_SERVER, config);
    assert_int_equal(both[i](d.conn, 0, NULL, 0), 0);
    driver_settle(&d);
    assert_int_equal(d.out_len, 2);
    assert_memory_equal(d.out, "\x88\0", 2);
    driver_free(&d);

    d = open_driver(WS_ROLE_SERVER, config);
    assert_int_equal(both[i](d.conn, 0, "bye", 3), 0);
    driver_settle(&d);
    assert_int_equal(d.out_len, 7);
    assert_memory_equal(d.out,
                        "\x88\x05\x03\xe8"
                        "bye",
                        7);
    driver_free(&d);
  }
  ws_conn_config_free(config);
}

/* -- The order of the checks, in every state
 * ------------------------------------ */

/* Rows 191, 192, 197, 199: code, reason, state. */
static void check_order(driver *d) {
  char reason[WS_MAX_CLOSE_REASON + 1];
  memset(reason, 'r', sizeof(reason));
  const ws_state before = ws_conn_state(d->conn);
  static const uint16_t refused[] = {1,    500,  999,  1001, 1005, 1006,
                                     1011, 1015, 2999, 5000, 65535};
  for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
    assert_int_equal(ws_conn_close(d->conn, refused[i], NULL, 0),
                     WS_ERR_INVALID_ACCESS);
    assert_int_equal(ws_conn_close(d->conn, refused[i], reason, sizeof(reason)),
                     WS_ERR_INVALID_ACCESS);
    assert_int_equal(ws_conn_close(d->conn, refused[i], "\xFF", 1),
                     WS_ERR_INVALID_ACCESS);
  }
  assert_int_equal(ws_conn_close(d->conn, 1000, reason, sizeof(reason)),
                   WS_ERR_SYNTAX);
  assert_int_equal(ws_conn_close(d->conn, 0, reason, sizeof(reason)),
                   WS_ERR_SYNTAX);
  assert_int_equal(ws_conn_close(d->conn, 1000, "\xC3", 1),
                   WS_ERR_INVALID_UTF8);
  memset(reason, 0xFF, sizeof(reason));
  assert_int_equal(ws_conn_close(d->conn, 4999, reason, sizeof(reason)),
                   WS_ERR_SYNTAX);

  const size_t events = d->events;
  const size_t out_len = d->out_len;
  driver_settle(d);
  assert_int_equal(ws_conn_state(d->conn), before);
  assert_int_equal(d->events, events);
  assert_int_equal(d->out_len, out_len);
}

static void for_each_role(void (*check)(ws_role, ws_conn_config *)) {
  for (int role = WS_ROLE_CLIENT; role <= WS_ROLE_SERVER; role++) {
    ws_conn_config *config = new_config((ws_role)role);
    check((ws_role)role, config);
    ws_conn_config_free(config);
  }
}

static void check_connecting(ws_role role, ws_conn_config *config) {
  driver d = {.role = role};
  assert_int_equal(ws_conn_new(config, 0, &d.conn), 0);
  assert_int_equal(ws_conn_state(d.conn), WS_STATE_CONNECTING);
  check_order(&d);
  assert_int_equal(ws_conn_state(d.conn), WS_STATE_CONNECTING);
  driver_free(&d);
}

static void arguments_are_checked_while_connecting(void **state) {
  (void)state;
  for_each_role(check_connecting);
}

static void check_open(ws_role role, ws_conn_config *config) {
  driver d = open_driver(role, config);
  check_order(&d);
  assert_int_equal(ws_conn_state(d.conn), WS_STATE_OPEN);
  driver_feed_frame(&d, (const uint8_t *)"\x81\x02hi", 4);
  assert_string_equal(transcript_text(&d.log), "event message text: 68 69\n");
  driver_free(&d);
}

static void arguments_are_checked_while_open(void **state) {
  (void)state;
  for_each_role(check_open);
}

static void check_closing(ws_role role, ws_conn_config *config) {
  driver d = open_driver(role, config);
  assert_int_equal(ws_conn_close(d.conn, 1000, NULL, 0), 0);
  driver_settle(&d);
  assert_int_equal(ws_conn_state(d.conn), WS_STATE_CLOSING);
  check_order(&d);
  driver_free(&d);
}

static void arguments_are_checked_while_closing(void **state) {
  (void)state;
  for_each_role(check_closing);
}

static void check_closed(ws_role role, ws_conn_config *config) {
  driver d = open_driver(role, config);
  driver_eof(&d);
  assert_int_equal(ws_conn_state(d.conn), WS_STATE_CLOSED);
  check_order(&d);
  assert_int_equal(ws_conn_close(d.conn, 1000, "bye", 3), 0);
  driver_settle(&d);
  assert_int_equal(d.out_len, 0);
  assert_int_equal(d.closes, 1);
  driver_free(&d);
}

static void arguments_are_checked_when_closed(void **state) {
  (void)state;
  for_each_role(check_closed);
}

/* Rows 223, 224, 226: no code, no reason, no open event. */
static void check_close_while_connecting(ws_role role, ws_conn_config *config) {
  driver d = {.role = role};
  assert_int_equal(ws_conn_new(config, 0, &d.conn), 0);
  assert_int_equal(ws_conn_close(d.conn, 3000, "x", 1), 0);
  assert_int_equal(ws_conn_state(d.conn), WS_STATE_CLOSING);
  assert_int_equal(ws_conn_close(d.conn, 3000, "x", 1), 0);
  driver_settle(&d);
  assert_string_equal(transcript_text(&d.log), "event error ABORTED 0 local\n"
                                               "event close 1006 unclean:\n");
  assert_false(d.is_open);
  driver_free(&d);
}

static void close_while_connecting_fails_the_connection(void **state) {
  (void)state;
  for_each_role(check_close_while_connecting);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_client_accepts_wire_codes_and_fails_others_1002),
      cmocka_unit_test(a_server_accepts_wire_codes_and_fails_others_1002),
      cmocka_unit_test(close_takes_1000_and_3000_to_4999_only),
      cmocka_unit_test(close_with_takes_every_wire_code_and_no_other),
      cmocka_unit_test(code_0_means_none),
      cmocka_unit_test(arguments_are_checked_while_connecting),
      cmocka_unit_test(arguments_are_checked_while_open),
      cmocka_unit_test(arguments_are_checked_while_closing),
      cmocka_unit_test(arguments_are_checked_when_closed),
      cmocka_unit_test(close_while_connecting_fails_the_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
