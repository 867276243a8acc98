/* test_server_topics.c - one message to many: subscribing, publishing,
 * broadcasting, within one loop. Workers are in test_threads_net.c. */
#include <stdio.h>
#include <stdlib.h>

#include "raw_peer.h"

enum {
  MEMBERS = 3
};

/* A server with some open connections, whose ends and peers stand in order. */
typedef struct group {
  net *n;
  net_end *ends[MEMBERS];
  raw *peers[MEMBERS];
} group;

static void gather(group *g, net *n, const ws_conn_options *conn,
                   const char *extensions) {
  g->n = n;
  for (int i = 0; i < MEMBERS; i++)
    raw_open(n, conn, extensions, &g->ends[i], &g->peers[i]);
}

static void subscribe(const group *g, int member, const char *topic) {
  assert_int_equal(ws_socket_subscribe(g->ends[member]->socket, topic), 0);
}

static void publish(const group *g, const char *topic, const char *text,
                    const ws_socket *except) {
  assert_int_equal(ws_server_publish(g->n->server, topic, WS_TEXT, text,
                                     strlen(text), 0, except),
                   0);
}

/* -- Who gets it ----------------------------------------------------------- */

static void subscribers_get_what_is_published(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  subscribe(&g, 0, "a");
  subscribe(&g, 1, "a");
  subscribe(&g, 1, "b");
  subscribe(&g, 1, "b"); /* A second time changes nothing. */
  publish(&g, "a", "to a", NULL);
  publish(&g, "b", "to b", NULL);
  publish(&g, "nobody", "to nobody", NULL);
  assert_raw_text(g.peers[0], "to a");
  assert_raw_text(g.peers[1], "to a");
  assert_raw_text(g.peers[1], "to b");
  for (int i = 0; i < MEMBERS; i++)
    assert_raw_silent(g.peers[i]);
}

static void the_sender_can_be_left_out(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  for (int i = 0; i < MEMBERS; i++)
    subscribe(&g, i, "a");
  publish(&g, "a", "x", g.ends[1]->socket);
  assert_raw_text(g.peers[0], "x");
  assert_raw_text(g.peers[2], "x");
  assert_raw_silent(g.peers[1]);
}

static void a_broadcast_reaches_all(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  subscribe(&g, 0, "a");
  publish(&g, NULL, "all", NULL);
  publish(&g, NULL, "others", g.ends[2]->socket);
  for (int i = 0; i < MEMBERS; i++)
    assert_raw_text(g.peers[i], "all");
  assert_raw_text(g.peers[0], "others");
  assert_raw_text(g.peers[1], "others");
  assert_raw_silent(g.peers[2]);
  ws_server_stats stats;
  ws_server_get_stats(g.n->server, &stats);
  assert_int_equal(stats.published, 2);
}

static void who_unsubscribes_gets_no_more(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  subscribe(&g, 0, "a");
  subscribe(&g, 1, "a");
  assert_int_equal(ws_socket_unsubscribe(g.ends[0]->socket, "a"), 0);
  assert_int_equal(ws_socket_unsubscribe(g.ends[0]->socket, "a"), 0);
  assert_int_equal(ws_socket_unsubscribe(g.ends[2]->socket, "never"), 0);
  publish(&g, "a", "x", NULL);
  assert_raw_text(g.peers[1], "x");
  assert_raw_silent(g.peers[0]);
}

/* Row 380: ended and ending sockets are no reason to fail. */
static void sockets_that_end_leave_all_topics(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  for (int i = 0; i < MEMBERS; i++)
    subscribe(&g, i, "a");
  net_retain(g.ends[0]);
  raw_close(g.peers[0]);
  net_finish(g.n, g.ends[0]);
  assert_int_equal(ws_socket_subscribe(g.ends[0]->socket, "a"),
                   WS_ERR_INVALID_STATE);
  assert_int_equal(ws_socket_close(g.ends[1]->socket, 1000, NULL, 0), 0);
  publish(&g, "a", "x", NULL);
  assert_raw_close(g.peers[1], 1000, "");
  assert_raw_silent(g.peers[1]);
  assert_raw_text(g.peers[2], "x");
}

static void publish_in_handler(net *n, net_end *end, const ws_event *event) {
  if (event->type == WS_EVENT_OPEN)
    assert_int_equal(ws_socket_subscribe(end->socket, "room"), 0);
  if (event->type != WS_EVENT_MESSAGE && event->type != WS_EVENT_CLOSE) return;
  assert_int_equal(
      ws_server_publish(n->server, "room", WS_TEXT, "news", 4, 0,
                        event->type == WS_EVENT_MESSAGE ? end->socket : NULL),
      0);
}

static void handlers_can_subscribe_and_publish(void **state) {
  net *n = *state;
  n->on_event = publish_in_handler;
  group g;
  gather(&g, n, NULL, NULL);
  raw_text(g.peers[0], "go");
  assert_raw_text(g.peers[1], "news");
  assert_raw_text(g.peers[2], "news");
  raw_close(g.peers[1]);
  assert_raw_text(g.peers[0], "news");
  assert_raw_text(g.peers[2], "news");
}

/* -- Arguments ------------------------------------------------------------- */

static void names_and_messages_are_checked(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  char name[257];
  memset(name, 'n', sizeof(name));
  name[256] = '\0';
  ws_socket *socket = g.ends[0]->socket;
  assert_int_equal(ws_socket_subscribe(socket, name), WS_ERR_INVALID_ARGUMENT);
  assert_int_equal(
      ws_server_publish(g.n->server, name, WS_TEXT, "", 0, 0, NULL),
      WS_ERR_INVALID_ARGUMENT);
  name[255] = '\0';
  subscribe(&g, 0, name);
  subscribe(&g, 0, "\xFF\x01/"); /* Any bytes. */
  publish(&g, name, "long", NULL);
  assert_raw_text(g.peers[0], "long");
  publish(&g, "\xFF\x01/", "odd", NULL);
  assert_raw_text(g.peers[0], "odd");
  assert_int_equal(
      ws_server_publish(g.n->server, name, WS_TEXT, "\xFF", 1, 0, NULL),
      WS_ERR_INVALID_UTF8);
  assert_int_equal(
      ws_server_publish(g.n->server, name, (ws_message_type)9, "", 0, 0, NULL),
      WS_ERR_INVALID_ARGUMENT);
}

static void clients_cannot_subscribe(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  const net_end *client = net_connect(n, listener->url, NULL);
  assert_int_equal(ws_socket_subscribe(client->socket, "a"),
                   WS_ERR_INVALID_STATE);
}

/* -- How it is sent -------------------------------------------------------- */

/* All get the same bytes, deflated if they agreed to it. */
static void a_message_is_deflated_for_those_who_want_it(void **state) {
  net *n = *state;
  static const char zeros[4096];
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.compression = WS_COMPRESSION_ON;
  group g;
  gather(&g, n, &options, "permessage-deflate");
  net_end *plain_end;
  raw *plain;
  raw_open(n, &options, NULL, &plain_end, &plain);
  for (int round = 0; round < 2; round++) {
    assert_int_equal(ws_server_publish(n->server, NULL, WS_BINARY, zeros,
                                       sizeof(zeros), 0, NULL),
                     0);
    const raw_view first = raw_read_frame(g.peers[0]);
    assert_int_equal(first.first_byte, 0xC2);
    assert_true(first.len < 100);
    for (int i = 1; i < MEMBERS; i++)
      assert_raw_frame(g.peers[i], 0xC2, first.payload, first.len);
    assert_raw_frame(plain, 0x82, zeros, sizeof(zeros));
  }
  assert_int_equal(ws_server_publish(n->server, NULL, WS_BINARY, zeros,
                                     sizeof(zeros), WS_SEND_UNCOMPRESSED, NULL),
                   0);
  assert_raw_frame(g.peers[0], 0x82, zeros, sizeof(zeros));
}

/* A receiver of ours inflates both kinds in any order. */
static void published_and_own_messages_mix(void **state) {
  net *n = *state;
  static char own[3000], news[5000];
  memset(own, 'o', sizeof(own));
  memset(news, 'n', sizeof(news));
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.compression = WS_COMPRESSION_ON;
  ws_server_options options;
  ws_server_options_init(&options);
  options.conn = &conn;
  net_serve(n, &options);
  net_end *client, *server;
  net_open_pair(n, NULL, &client, &server);
  assert_string_not_equal(ws_socket_extensions(client->socket), "");
  for (unsigned i = 0; i < 5; i++) {
    ws_socket_send_text(server->socket, own, sizeof(own));
    NET_UNTIL(n, client->messages == 2 * i + 1);
    assert_last_message(client, own, sizeof(own));
    ws_server_publish(n->server, NULL, WS_TEXT, news, sizeof(news), 0, NULL);
    NET_UNTIL(n, client->messages == 2 * i + 2);
    assert_last_message(client, news, sizeof(news));
  }
}

/* -- Many at once ---------------------------------------------------------- */

/* Nothing comes but what is sent, however long that takes. */
static ws_conn_options unhurried(uint64_t max_send_queue) {
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.max_send_queue = max_send_queue;
  options.send_timeout = WS_NEVER;
  options.ping_interval = WS_NEVER;
  return options;
}

static void publish_number(const group *g, const char *topic, int number,
                           const ws_socket *except) {
  char text[16];
  snprintf(text, sizeof(text), "%d", number);
  publish(g, topic, text, except);
}

static void assert_number(raw *peer, int number) {
  char text[16];
  snprintf(text, sizeof(text), "%d", number);
  assert_raw_text(peer, text);
}

/* Rows 176, 180, 189. What is said between two turns of the loop leaves in the
 * order of the calls, counts at once, and is one write for each. */
static void a_burst_is_one_write_for_each(void **state) {
  ws_conn_options options = unhurried(WS_UNLIMITED);
  group g;
  gather(&g, *state, &options, NULL);
  net_settle(g.n);
  ws_loop_stats before, after;
  ws_loop_get_stats(g.n->loop, &before);
  for (int i = 0; i < 1000; i++) {
    publish_number(&g, NULL, 1000 + i, NULL);
    for (int k = 0; k < MEMBERS; k++) {
      assert_int_equal(ws_socket_buffered_amount(g.ends[k]->socket),
                       4 * (i + 1));
    }
  }
  for (int k = 0; k < MEMBERS; k++) {
    for (int i = 0; i < 1000; i++)
      assert_number(g.peers[k], 1000 + i);
    assert_int_equal(ws_socket_buffered_amount(g.ends[k]->socket), 0);
  }
  ws_loop_get_stats(g.n->loop, &after);
  assert_int_equal(after.writes - before.writes, MEMBERS);
}

static void a_burst_mixes_with_all_else(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  subscribe(&g, 0, "a");
  subscribe(&g, 1, "a");
  subscribe(&g, 1, "b");
  for (int i = 0; i < 100; i += 10) {
    publish_number(&g, "a", i, NULL);
    publish_number(&g, "a", i + 1, NULL);
    publish_number(&g, "a", i + 2, g.ends[0]->socket);
    publish_number(&g, "a", i + 3, NULL);
    publish_number(&g, "b", i + 4, NULL);
    publish_number(&g, "a", i + 5, NULL);
    assert_int_equal(ws_socket_send_text(g.ends[1]->socket, "own", 3), 0);
    publish_number(&g, "a", i + 6, NULL);
    publish_number(&g, NULL, i + 7, NULL);
    assert_int_equal(ws_socket_unsubscribe(g.ends[1]->socket, "a"), 0);
    publish_number(&g, "a", i + 8, NULL);
    subscribe(&g, 1, "a");
    publish_number(&g, "a", i + 9, NULL);
  }
  for (int i = 0; i < 100; i += 10) {
    static const int first[] = {0, 1, 3, 5, 6, 7, 8, 9};
    for (size_t k = 0; k < COUNT(first); k++)
      assert_number(g.peers[0], i + first[k]);
    for (int k = 0; k < 6; k++)
      assert_number(g.peers[1], i + k);
    assert_raw_text(g.peers[1], "own");
    assert_number(g.peers[1], i + 6);
    assert_number(g.peers[1], i + 7);
    assert_number(g.peers[1], i + 9);
    assert_number(g.peers[2], i + 7);
  }
  for (int k = 0; k < MEMBERS; k++)
    assert_raw_silent(g.peers[k]);
}

/* How many bytes wait for a socket. */
static uint64_t queued(const net_end *end) {
  ws_conn_stats stats;
  ws_socket_get_stats(end->socket, &stats);
  return stats.bytes_queued;
}

/* A hundred numbered messages, in frames, one after the other. */
enum {
  BATCH = 100,
  BODY = 1000,
  FRAME = 4 + BODY
};

static void make_batch(uint8_t frames[BATCH * FRAME], unsigned number) {
  for (unsigned i = 0; i < BATCH; i++, number++) {
    uint8_t *frame = frames + i * (size_t)FRAME;
    const uint8_t head[] = {0x82, 126, BODY >> 8, BODY & 0xFF};
    memcpy(frame, head, sizeof(head));
    memset(frame + 4, (int)number, BODY);
    memcpy(frame + 4, &number, sizeof(number));
  }
}

static void publish_batch(const group *g, const char *topic,
                          const uint8_t *frames) {
  for (size_t i = 0; i < BATCH; i++) {
    const uint8_t *body = frames + i * FRAME + 4;
    assert_int_equal(
        ws_server_publish(g->n->server, topic, WS_BINARY, body, BODY, 0, NULL),
        0);
  }
}

/* Row 174. What the system does not take waits, cut anywhere. */
static void who_reads_late_gets_all(void **state) {
  net *n = *state;
  static uint8_t frames[BATCH * FRAME];
  ws_conn_options options = unhurried(WS_UNLIMITED);
  group g;
  gather(&g, n, &options, NULL);
  unsigned batches = 0;
  for (; queued(g.ends[0]) < 3 * sizeof(frames); batches++) {
    make_batch(frames, batches * BATCH);
    publish_batch(&g, NULL, frames);
    net_settle(n);
  }
  for (int k = MEMBERS - 1; k >= 0; k--) {
    for (unsigned i = 0; i < batches; i++) {
      make_batch(frames, i * BATCH);
      assert_memory_equal(raw_read(g.peers[k], sizeof(frames)), frames,
                          sizeof(frames));
    }
    assert_int_equal(queued(g.ends[k]), 0);
  }
}

/* Row 175. The bound of its queue holds for small messages too. */
static void a_burst_beyond_the_bound_fails_who_does_not_read(void **state) {
  net *n = *state;
  static uint8_t frames[BATCH * FRAME];
  enum {
    BOUND = 64 * 1024
  };
  ws_conn_options options = unhurried(BOUND);
  group g;
  gather(&g, n, &options, NULL);
  subscribe(&g, 0, "a");
  make_batch(frames, 0);
  while (!g.ends[0]->is_over) {
    publish_batch(&g, "a", frames);
    assert_true(queued(g.ends[0]) <= BOUND);
    net_settle(n);
  }
  assert_log(g.ends[0], "error SEND_QUEUE_FULL, close 1006 unclean");
  publish(&g, NULL, "all", NULL);
  assert_raw_text(g.peers[1], "all");
  assert_raw_text(g.peers[2], "all");
}

/* Without memory for its queue a socket fails: it must not miss a message that
 * others have had. */
static void who_cannot_be_sent_to_fails(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  g.n->alloc.fail_at = g.n->alloc.calls;
  publish(&g, NULL, "x", NULL);
  net_settle(g.n);
  int failed = 0;
  for (int i = 0; i < MEMBERS; i++) {
    if (g.ends[i]->is_over) {
      assert_log(g.ends[i], "error NO_MEMORY, close 1006 unclean");
      failed++;
    } else {
      assert_raw_text(g.peers[i], "x");
    }
  }
  assert_int_equal(failed, 1);
}

static void who_sends_fragments_is_passed_over(void **state) {
  group g;
  gather(&g, *state, NULL, NULL);
  ws_socket *socket = g.ends[0]->socket;
  assert_int_equal(ws_socket_send(socket, WS_TEXT, "be", 2, WS_SEND_FRAGMENT),
                   0);
  publish(&g, NULL, "x", NULL);
  assert_int_equal(ws_socket_send(socket, WS_TEXT, "gin", 3, 0), 0);
  publish(&g, NULL, "y", NULL);
  assert_raw_frame(g.peers[0], 0x01, "be", 2);
  assert_raw_frame(g.peers[0], 0x80, "gin", 3);
  assert_raw_text(g.peers[0], "y");
  assert_raw_text(g.peers[1], "x");
  assert_raw_text(g.peers[1], "y");
}

/* One who does not read keeps nobody from reading, and is held to the bound of
 * its queue. */
static void a_slow_subscriber_harms_itself_alone(void **state) {
  net *n = *state;
  enum {
    SIZE = 100000
  };
  ws_conn_options options;
  ws_conn_options_init(&options);
  options.max_send_queue = (uint64_t)5 * SIZE;
  group g;
  gather(&g, n, &options, NULL);
  char *text = malloc(SIZE);
  assert_non_null(text);
  memset(text, 't', SIZE);
  for (int i = 0; i < 1000 && !g.ends[0]->is_over; i++) {
    assert_int_equal(
        ws_server_publish(n->server, NULL, WS_TEXT, text, SIZE, 0, NULL), 0);
    assert_raw_frame(g.peers[1], 0x81, text, SIZE);
    assert_raw_frame(g.peers[2], 0x81, text, SIZE);
  }
  free(text);
  assert_log(g.ends[0], "error SEND_QUEUE_FULL, close 1006 unclean");
  assert_false(g.ends[1]->is_over || g.ends[2]->is_over);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      AS_SERVER(subscribers_get_what_is_published),
      AS_SERVER(the_sender_can_be_left_out),
      AS_SERVER(a_broadcast_reaches_all),
      AS_SERVER(who_unsubscribes_gets_no_more),
      AS_SERVER(sockets_that_end_leave_all_topics),
      AS_SERVER(handlers_can_subscribe_and_publish),
      AS_SERVER(names_and_messages_are_checked),
      CASE(clients_cannot_subscribe),
      AS_SERVER(a_message_is_deflated_for_those_who_want_it),
      AS_SERVER(published_and_own_messages_mix),
      AS_SERVER(a_burst_is_one_write_for_each),
      AS_SERVER(a_burst_mixes_with_all_else),
      AS_SERVER(who_reads_late_gets_all),
      AS_SERVER(a_burst_beyond_the_bound_fails_who_does_not_read),
      AS_SERVER(who_cannot_be_sent_to_fails),
      AS_SERVER(who_sends_fragments_is_passed_over),
      AS_SERVER(a_slow_subscriber_harms_itself_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
