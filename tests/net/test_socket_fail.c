/* test_socket_fail.c - faults of the peer on an open connection (section L of
 * the behaviour table): the peer is told by a Close frame what was wrong, and
 * here error and close 1006 follow, whatever the code was. */
#include <stdlib.h>

#include "raw_peer.h"

/* What a raw peer sends: up to three frames, each by its first byte. */
typedef struct fault_case {
  struct {
    uint8_t first_byte;
    const char *payload;
    size_t len;
  } frames[3];
  ws_err error;
  uint16_t code; /* That the peer is told. */
} fault_case;

static const fault_case cases[] = {
    /* Rows 231, 232, 233: text that is not UTF-8. */
    {{{0x81, "\xFF", 1}}, WS_ERR_INVALID_UTF8, 1007},
    {{{0x81, "\xED\xA0\x80", 3}}, WS_ERR_INVALID_UTF8, 1007},
    {{{0x81, "\xC0\x80", 2}}, WS_ERR_INVALID_UTF8, 1007},
    {{{0x81, "\xF4\x90\x80\x80", 4}}, WS_ERR_INVALID_UTF8, 1007},
    {{{0x81, "\xC3", 1}}, WS_ERR_INVALID_UTF8, 1007},
    {{{0x01, "\xC3", 1}, {0x80, "x", 1}}, WS_ERR_INVALID_UTF8, 1007},
    /* Rows 234, 235, 236: bad Close frames. */
    {{{0x88, "\x03\xE8\xFF", 3}}, WS_ERR_INVALID_UTF8, 1007},
    {{{0x88, "\x03", 1}}, WS_ERR_INVALID_CLOSE_PAYLOAD, 1002},
    {{{0x88, "\x00\x00", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002},
    {{{0x88, "\x03\xE7", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002}, /* 999 */
    {{{0x88, "\x03\xEC", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002}, /* 1004 */
    {{{0x88, "\x03\xED", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002}, /* 1005 */
    {{{0x88, "\x03\xEE", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002}, /* 1006 */
    {{{0x88, "\x03\xF7", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002}, /* 1015 */
    {{{0x88, "\x0B\xB7", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002}, /* 2999 */
    {{{0x88, "\x13\x88", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002}, /* 5000 */
    {{{0x88, "\xFF\xFF", 2}}, WS_ERR_INVALID_CLOSE_CODE, 1002},
    /* Row 237, A-28: reserved opcodes and bits. */
    {{{0x83, "", 0}}, WS_ERR_INVALID_OPCODE, 1002},
    {{{0x87, "", 0}}, WS_ERR_INVALID_OPCODE, 1002},
    {{{0x8B, "", 0}}, WS_ERR_INVALID_OPCODE, 1002},
    {{{0x8F, "", 0}}, WS_ERR_INVALID_OPCODE, 1002},
    {{{0xC1, "x", 1}}, WS_ERR_UNEXPECTED_RSV_1, 1002},
    {{{0xA1, "x", 1}}, WS_ERR_UNEXPECTED_RSV_2_3, 1002},
    /* Row 241, A-50: control frames. */
    {{{0x09, "", 0}}, WS_ERR_EXPECTED_FIN, 1002},
    {{{0x08, "", 0}}, WS_ERR_EXPECTED_FIN, 1002},
    /* Row 242: the order of fragments. */
    {{{0x80, "x", 1}}, WS_ERR_UNEXPECTED_CONTINUATION, 1002},
    {{{0x01, "x", 1}, {0x81, "y", 1}}, WS_ERR_EXPECTED_CONTINUATION, 1002},
};

/* Rows 105, 108, 136, 249, too: the recorder looks at the state in every event,
 * at their number, and at what the error says. */
static void faults_are_told_to_the_peer_and_end_unclean(void **state) {
  net *n = *state;
  for (size_t i = 0; i < COUNT(cases); i++) {
    net_end *end;
    raw *peer;
    raw_open(n, NULL, NULL, &end, &peer);
    for (size_t f = 0; f < 3 && cases[i].frames[f].payload != NULL; f++) {
      raw_frame(peer, cases[i].frames[f].first_byte, cases[i].frames[f].payload,
                cases[i].frames[f].len);
    }
    const raw_view told = raw_read_frame(peer);
    assert_int_equal(told.first_byte, 0x88);
    assert_true(told.len >= 2);
    assert_int_equal(told.payload[0] << 8 | told.payload[1], cases[i].code);
    assert_raw_ended(peer);
    net_finish(n, end);
    assert_int_equal(end->messages, 0);
    assert_string_equal(ws_err_name(end->cause.err),
                        ws_err_name(cases[i].error));
    assert_cause(end, cases[i].error, WS_SIDE_PEER, cases[i].code);
  }
}

/* Rows 124, 137: what was right before the fault still counts. */
static void a_message_before_the_fault_arrives(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_text(peer, "test");
  raw_frame(peer, 0x83, "", 0);
  net_finish(n, end);
  assert_log(end, "text test, error INVALID_OPCODE, close 1006 unclean");
}

/* Rows 239, 240. */
static void masks_must_be_where_they_belong(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  uint8_t frame[16];
  peer->is_client = !peer->is_client;
  const size_t len = raw_make_frame(peer, frame, 0x81, "x", 1);
  peer->is_client = !peer->is_client;
  raw_write(peer, frame, len);
  net_finish(n, end);
  assert_log(end, n->role == WS_ROLE_CLIENT
                      ? "error UNEXPECTED_MASK, close 1006 unclean"
                      : "error EXPECTED_MASK, close 1006 unclean");
}

/* Rows 241, 243, A-02: lengths that are refused as soon as they are seen. */
static void impossible_lengths_are_refused_from_the_head(void **state) {
  net *n = *state;
  static const struct {
    uint8_t bytes[10];
    size_t len;
    const char *log;
  } heads[] = {
      {{0x89, 126, 0, 126},
       4,
       "error INVALID_CONTROL_PAYLOAD_LENGTH, close 1006 unclean"},
      {{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0},
       10,
       "error UNSUPPORTED_DATA_PAYLOAD_LENGTH, close 1006 unclean"},
      {{0x82, 126, 0, 125}, 4, "error NON_MINIMAL_LENGTH, close 1006 unclean"},
      /* nobody has room for that. */
      {{0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},
       10,
       "error UNSUPPORTED_MESSAGE_LENGTH, close 1006 unclean"},
  };
  for (size_t i = 0; i < COUNT(heads); i++) {
    net_end *end;
    raw *peer;
    raw_open(n, NULL, NULL, &end, &peer);
    uint8_t bytes[14] = {0}; /* With room for a mask. */
    memcpy(bytes, heads[i].bytes, heads[i].len);
    if (peer->is_client) bytes[1] |= 0x80;
    raw_write(peer, bytes, heads[i].len + (peer->is_client ? 4 : 0));
    net_finish(n, end);
    assert_log(end, heads[i].log);
  }
}

/* Row 244. */
static void a_message_may_be_as_long_as_the_limit_and_no_longer(void **state) {
  net *n = *state;
  static const char data[1001];
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.max_message = 1000;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  raw_frame(peer, 0x82, data, 1000);
  NET_UNTIL(n, end->messages == 1);
  assert_log(end, "binary of 1000");
  raw_frame(peer, 0x02, data, 600);
  raw_frame(peer, 0x80, data, 401); /* Together one too many. */
  net_finish(n, end);
  assert_log(end, "error UNSUPPORTED_MESSAGE_LENGTH, close 1006 unclean");
  assert_cause(end, WS_ERR_UNSUPPORTED_MESSAGE_LENGTH, WS_SIDE_PEER, 1009);
  /* The option to raise is our own affair. */
  assert_string_equal(end->cause_text,
                      "message exceeds the size limit (max_message)");
  assert_raw_close(peer, 1009, "message exceeds the size limit");
}

/* Row 245. */
static void too_many_fragments_are_refused(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.max_fragments = 3;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  raw_frame(peer, 0x01, "a", 1);
  for (int i = 0; i < 3; i++)
    raw_frame(peer, 0x00, "a", 1);
  net_finish(n, end);
  assert_log(end, "error TOO_MANY_BUFFERED_PARTS, close 1006 unclean");
  assert_cause(end, WS_ERR_TOO_MANY_BUFFERED_PARTS, WS_SIDE_PEER, 1008);
}

/* useless frames have a budget, and more of them change nothing. */
static void a_flood_of_useless_frames_is_refused(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.useless_burst = 10;
  options.useless_rate = 1;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  uint8_t data[32 * 16];
  size_t len = 0;
  for (int i = 0; i < 32; i++)
    len += raw_make_frame(peer, data + len, 0x8A, "", 0);
  raw_write(peer, data, len);
  net_finish(n, end);
  assert_int_equal(end->cause.err, WS_ERR_TOO_MANY_USELESS_FRAMES);
  assert_cause(end, WS_ERR_TOO_MANY_USELESS_FRAMES, WS_SIDE_PEER, 1008);
}

/* Row 248, A-21. */
static void only_the_first_of_several_faults_is_told(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_frame(peer, 0x83, "", 0);
  raw_frame(peer, 0x81, "\xFF", 1);
  raw_finish(peer);
  net_finish(n, end);
  net_settle(n);
  assert_log(end, "error INVALID_OPCODE, close 1006 unclean");
}

/* The peer hears what was wrong although it is still sending: its data does not
 * make the system reset the connection. */
static void
the_last_words_arrive_while_the_peer_is_still_sending(void **state) {
  net *n = *state;
  enum {
    REST = 300000
  };
  static const uint8_t rest[REST];
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_frame(peer, 0x83, "", 0);
  net_finish(n, end);
  raw_write(peer, rest, sizeof(rest));
  const raw_view told = raw_read_frame(peer);
  assert_int_equal(told.first_byte, 0x88);
  assert_raw_ended(peer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_ROLES(faults_are_told_to_the_peer_and_end_unclean),
      BOTH_ROLES(a_message_before_the_fault_arrives),
      BOTH_ROLES(masks_must_be_where_they_belong),
      BOTH_ROLES(impossible_lengths_are_refused_from_the_head),
      BOTH_ROLES(a_message_may_be_as_long_as_the_limit_and_no_longer),
      BOTH_ROLES(too_many_fragments_are_refused),
      BOTH_ROLES(a_flood_of_useless_frames_is_refused),
      BOTH_ROLES(only_the_first_of_several_faults_is_told),
      BOTH_ROLES(the_last_words_arrive_while_the_peer_is_still_sending),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
