/* test_socket_control.c - what the library does by itself: pings and pongs,
 * signs of life, masks, compression (sections P, Q and S of the behaviour
 * table). */
#include <stdio.h>
#include <stdlib.h>

#include "raw_peer.h"

/* -- Pings and pongs ------------------------------------------------------- */

/* Rows 297, 298, 340. */
static void pings_are_answered_and_seen(void **state) {
  net *n = *state;
  char longest[126];
  memset(longest, 'p', 125);
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  raw_frame(peer, 0x89, "", 0);
  assert_raw_frame(peer, 0x8A, "", 0);
  raw_frame(peer, 0x89, longest, 125);
  assert_raw_frame(peer, 0x8A, longest, 125);
  raw_frame(peer, 0x8A, "unasked", 1);
  NET_UNTIL(n, end->last_type == WS_EVENT_PONG);
  assert_int_equal(end->rtt, WS_NEVER);
  assert_memory_equal(transcript_text(&end->log), "ping, ping 70 70", 16);
}

/* Row 301. */
static void ten_pings_of_one_segment_get_ten_pongs_in_order(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  uint8_t data[160];
  size_t len = 0;
  for (char digit = '0'; digit <= '9'; digit++)
    len += raw_make_frame(peer, data + len, 0x89, &digit, 1);
  raw_write(peer, data, len);
  for (char digit = '0'; digit <= '9'; digit++)
    assert_raw_frame(peer, 0x8A, &digit, 1);
}

/* Row 300. */
static void a_ping_behind_a_close_frame_gets_no_pong(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  uint8_t data[64];
  size_t len = raw_make_frame(peer, data, 0x88, "\x03\xE8", 2);
  len += raw_make_frame(peer, data + len, 0x89, "", 0);
  raw_write(peer, data, len);
  assert_raw_close(peer, 1000, "");
  raw_finish(peer);
  assert_raw_ended(peer);
}

/* Row 340. */
static void without_auto_pong_the_application_answers(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.no_auto_pong = true;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  raw_frame(peer, 0x89, "x", 1);
  NET_UNTIL(n, end->last_type == WS_EVENT_PING);
  assert_raw_silent(peer);
  assert_int_equal(ws_socket_pong(end->socket, "x", 1), 0);
  assert_raw_frame(peer, 0x8A, "x", 1);
}

/* Rows 337, 339. */
static void a_pong_tells_how_long_it_took(void **state) {
  net *n = *state;
  char payload[126] = "";
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  ws_conn_stats stats;
  ws_socket_get_stats(end->socket, &stats);
  assert_int_equal(stats.rtt, WS_NEVER);
  assert_int_equal(ws_socket_ping(end->socket, payload, 126),
                   WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(ws_socket_ping(end->socket, "x", 1), 0);
  assert_raw_frame(peer, 0x89, "x", 1);
  raw_frame(peer, 0x8A, "x", 1);
  NET_UNTIL(n, end->last_type == WS_EVENT_PONG);
  assert_log(end, "pong 78");
  assert_true(end->rtt < PATIENCE_MS);
  ws_socket_get_stats(end->socket, &stats);
  assert_int_equal(stats.rtt, end->rtt);
}

/* -- Signs of life --------------------------------------------------------- */

/* Row 305: with the defaults nothing is sent for seconds; see row 381. */
static void an_idle_connection_is_silent_at_first(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  net_turn(n, 20);
  assert_raw_silent(peer);
}

/* Row 155: an idle connection is kept alive by pings. */
static void an_idle_connection_is_pinged(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.ping_interval = 10;
  options.ping_timeout = PATIENCE_MS;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  for (int i = 0; i < 3; i++) {
    const raw_view ping = raw_read_frame(peer);
    assert_int_equal(ping.first_byte, 0x89);
    raw_frame(peer, 0x8A, ping.payload, ping.len);
    NET_UNTIL(n, end->last_type == WS_EVENT_PONG);
    assert_true(end->rtt < PATIENCE_MS);
    end->last_type = WS_EVENT_OPEN;
  }
  raw_text(peer, "still here");
  NET_UNTIL(n, end->messages == 1);
}

/* Row 381. */
static void a_peer_without_sign_of_life_is_left(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.ping_interval = 10;
  options.ping_timeout = 300; /* It is open first, whatever stalls. */
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  net_finish(n, end);
  assert_log(end, "error PING_TIMEOUT, close 1006 unclean");
  assert_int_equal(raw_read_frame(peer).first_byte, 0x89);
}

/* A message that trickles is given up; one that makes progress is not. */
static void an_unfinished_message_has_a_deadline(void **state) {
  net *n = *state;
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.message_timeout = 40;
  net_end *end;
  raw *peer;
  raw_open(n, &options, NULL, &end, &peer);
  uint8_t frame[32];
  const size_t len = raw_make_frame(peer, frame, 0x81, "hello", 5);
  raw_write(peer, frame, len - 1);
  net_finish(n, end);
  assert_log(end, "error MESSAGE_TIMEOUT, close 1006 unclean");
  assert_cause(end, WS_ERR_MESSAGE_TIMEOUT, WS_SIDE_PEER, 1008);
}

/* -- Masks ----------------------------------------------------------------- */

static int compare_masks(const void *a, const void *b) {
  const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

/* Rows 302, 303, A-46: raw_read_frame() looks at who masks. */
static void every_frame_of_a_client_has_a_mask_of_its_own(void **state) {
  net *n = *state;
  enum {
    FRAMES = 300
  };
  static uint32_t masks[FRAMES];
  net_end *end;
  raw *peer;
  raw_open(n, NULL, NULL, &end, &peer);
  for (int i = 0; i < FRAMES; i++) {
    if (i % 3 == 0) ws_socket_ping(end->socket, "", 0);
    else ws_socket_send_text(end->socket, "x", i % 3 == 1);
    masks[i] = raw_read_frame(peer).mask;
  }
  if (n->role == WS_ROLE_SERVER) return;
  /* Among 300 random keys two are equal once in 96,000 runs; three never. */
  qsort(masks, FRAMES, sizeof(*masks), compare_masks);
  for (int i = 2; i < FRAMES; i++)
    assert_int_not_equal(masks[i], masks[i - 2]);
}

/* -- Compression ----------------------------------------------------------- */

static ws_conn_options compressing(void) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.compression = WS_COMPRESSION_ON;
  return options;
}

/* Row 310: a client offers it, a server does not take it unasked. */
static void a_server_does_not_compress_unasked(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  raw *peer = raw_connect(n, n->port);
  raw_request(peer, "/", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  assert_null(
      raw_header(assert_raw_upgraded(peer), "Sec-WebSocket-Extensions"));
}

/* Rows 113, 306, 309: client and server of ours, messages of all kinds. */
static void messages_survive_compression(void **state) {
  net *n = *state;
  static char random[100000], text[200000];
  assert_int_equal(ws_random(NULL, random, sizeof(random)), 0);
  for (size_t i = 0; i < sizeof(text); i++)
    text[i] = "abcdefgh"[i / 7 % 8];
  for (uint8_t bits = 9; bits <= 15; bits += 3) {
    ws_conn_options conn = compressing();
    conn.server_max_window_bits = bits;
    conn.client_max_window_bits = bits;
    ws_server_options serving;
    ws_server_options_init(&serving);
    serving.conn = &conn;
    net_serve(n, &serving);
    ws_socket_options connecting;
    ws_socket_options_init(&connecting);
    connecting.conn = &conn;
    net_end *client, *server;
    net_open_pair(n, &connecting, &client, &server);
    assert_memory_equal(ws_socket_extensions(client->socket),
                        "permessage-deflate", 18);
    assert_string_equal(ws_socket_extensions(server->socket),
                        ws_socket_extensions(client->socket));
    for (unsigned i = 1; i <= 3; i++) {
      ws_socket_send_text(client->socket, text, sizeof(text));
      NET_UNTIL(n, server->messages == 3 * i - 2);
      assert_last_message(server, text, sizeof(text));
      ws_socket_send_binary(server->socket, random, sizeof(random));
      NET_UNTIL(n, client->messages == i);
      assert_last_message(client, random, sizeof(random));
      ws_socket_send_text(client->socket, "", 0);
      ws_socket_send_text(client->socket, "short", 5);
      NET_UNTIL(n, server->messages == 3 * i);
      assert_last_message(server, "short", 5);
    }
    ws_server_close(n->server, 0, NULL, 0, 0);
    NET_UNTIL(n, n->server == NULL);
  }
}

/* Rows 311, 312: what is short, or is meant to, goes uncompressed. */
static void short_messages_go_uncompressed(void **state) {
  net *n = *state;
  static const char zeros[2048];
  const ws_conn_options options = compressing();
  net_end *end;
  raw *peer;
  raw_open(n, &options, "permessage-deflate", &end, &peer);
  ws_socket_send_binary(end->socket, zeros, 10);
  assert_int_equal(raw_read_frame(peer).first_byte, 0x82);
  ws_socket_send_binary(end->socket, zeros, 2048);
  assert_int_equal(raw_read_frame(peer).first_byte, 0xC2);
  ws_socket_send(end->socket, WS_BINARY, zeros, 2048, WS_SEND_UNCOMPRESSED);
  assert_raw_frame(peer, 0x82, zeros, 2048);
}

/* Row 307. */
static void a_peer_need_not_compress(void **state) {
  net *n = *state;
  const ws_conn_options options = compressing();
  net_end *end;
  raw *peer;
  raw_open(n, &options, "permessage-deflate", &end, &peer);
  raw_text(peer, "plain");
  /* "Hello" of RFC 7692 7.2.3.1. */
  raw_frame(peer, 0xC1, "\xF2\x48\xCD\xC9\xC9\x07\x00", 7);
  NET_UNTIL(n, end->messages == 2);
  assert_log(end, "text plain, text Hello");
}

/* Row 313, A-19: a megabyte of zeros in one kilobyte. */
static void a_bomb_is_stopped_by_the_limit(void **state) {
  net *n = *state;
  enum {
    LIMIT = 100000,
    BOMB = 1048576
  };
  ws_conn_options options = compressing();
  options.max_message = BOMB + 1;
  net_end *end, *armed;
  raw *peer, *forge;
  raw_open(n, &options, "permessage-deflate", &armed, &forge);
  char *zeros = calloc(1, BOMB);
  assert_non_null(zeros);
  ws_socket_send_binary(armed->socket, zeros, BOMB);
  free(zeros);
  const raw_view bomb = raw_read_frame(forge);
  assert_int_equal(bomb.first_byte, 0xC2);

  if (n->role == WS_ROLE_SERVER) {
    ws_server_stop_listening(n->server);
    n->server = NULL;
  }
  options.max_message = LIMIT;
  raw_open(n, &options, "permessage-deflate", &end, &peer);
  const size_t held = n->alloc.held;
  n->alloc.peak = held;
  raw_frame(peer, 0xC2, bomb.payload, bomb.len);
  net_finish(n, end);
  assert_log(end, "error UNSUPPORTED_MESSAGE_LENGTH, close 1006 unclean");
  assert_cause(end, WS_ERR_UNSUPPORTED_MESSAGE_LENGTH, WS_SIDE_PEER, 1009);
  assert_true(n->alloc.peak - held <= (size_t)2 * LIMIT + 65536);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_ROLES(pings_are_answered_and_seen),
      BOTH_ROLES(ten_pings_of_one_segment_get_ten_pongs_in_order),
      BOTH_ROLES(a_ping_behind_a_close_frame_gets_no_pong),
      BOTH_ROLES(without_auto_pong_the_application_answers),
      BOTH_ROLES(a_pong_tells_how_long_it_took),
      BOTH_ROLES(an_idle_connection_is_silent_at_first),
      BOTH_ROLES(an_idle_connection_is_pinged),
      BOTH_ROLES(a_peer_without_sign_of_life_is_left),
      BOTH_ROLES(an_unfinished_message_has_a_deadline),
      BOTH_ROLES(every_frame_of_a_client_has_a_mask_of_its_own),
      CASE(a_server_does_not_compress_unasked),
      CASE(messages_survive_compression),
      BOTH_ROLES(short_messages_go_uncompressed),
      BOTH_ROLES(a_peer_need_not_compress),
      BOTH_ROLES(a_bomb_is_stopped_by_the_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
