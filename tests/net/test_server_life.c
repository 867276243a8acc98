/* test_server_life.c - servers from listening to their end: addresses, limits
 * on connections, the graceful close (section T of the behaviour table). */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "raw_peer.h"

static ws_server_options defaults(void) {
  ws_server_options options;
  ws_server_options_init(&options);
  return options;
}

static ws_listen_options somewhere(void) {
  ws_listen_options where;
  ws_listen_options_init(&where);
  return where;
}

static ws_server_stats stats_of(const net *n) {
  ws_server_stats stats;
  ws_server_get_stats(n->server, &stats);
  return stats;
}

/* A raw client that has an open connection. */
static raw *enter(net *n, net_end **out_end) {
  raw *peer;
  raw_open(n, NULL, NULL, out_end, &peer);
  return peer;
}

/* -- Listening ------------------------------------------------------------- */

/* Row 357. */
static void a_server_says_where_it_listens(void **state) {
  net *n = *state;
  ws_error error = {0};
  assert_int_equal(ws_server_new(n->loop, NULL, &n->server, &error), 0);
  assert_int_equal(ws_server_listener_count(n->server), 0);
  assert_null(ws_server_url(n->server, 0));
  ws_listen_options where = somewhere();
  assert_int_equal(ws_server_listen(n->server, &where, &error), 0);
  where.unix_path = net_path(n, "socket");
  where.unix_mode = 0600;
  assert_int_equal(ws_server_listen(n->server, &where, &error), 0);
  assert_int_equal(ws_server_listener_count(n->server), 2);
  char expected[256];
  const uint16_t port = ws_server_port(n->server, 0);
  assert_true(port != 0);
  snprintf(expected, sizeof(expected), "ws://127.0.0.1:%u", port);
  assert_string_equal(ws_server_url(n->server, 0), expected);
  snprintf(expected, sizeof(expected), "ws+unix:%s", net_path(n, "socket"));
  assert_string_equal(ws_server_url(n->server, 1), expected);
  assert_int_equal(ws_server_port(n->server, 1), 0);
  assert_int_equal(ws_server_port(n->server, 2), 0);
  struct stat file;
  assert_int_equal(stat(net_path(n, "socket"), &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  assert_ptr_equal(ws_server_loop(n->server), n->loop);
  assert_null(ws_server_user_data(n->server));

  /* Clients come in through all of them. */
  for (size_t i = 0; i < 2; i++) {
    char url[300];
    snprintf(url, sizeof(url), "%s%s", ws_server_url(n->server, i),
             i == 0 ? "/" : ":/");
    net_end *client = net_connect(n, url, NULL);
    NET_UNTIL(n, client->is_open);
  }
  ws_server_stop_listening(n->server);
  assert_int_equal(access(net_path(n, "socket"), F_OK), -1);
}

/* Row 358. */
static void a_port_that_is_taken_is_named_in_the_error(void **state) {
  net *n = *state;
  const raw *listener = raw_listen(n);
  assert_int_equal(ws_server_new(n->loop, NULL, &n->server, NULL), 0);
  ws_listen_options where = somewhere();
  where.port = listener->port;
  ws_error error = {0};
  assert_int_equal(ws_server_listen(n->server, &where, &error), WS_ERR_SYSTEM);
  assert_int_equal(error.code, WS_ERR_SYSTEM);
  char address[32];
  snprintf(address, sizeof(address), "127.0.0.1:%u", listener->port);
  assert_non_null(strstr(error.message, address));
  assert_int_equal(error.system_error, EADDRINUSE);
  assert_int_equal(ws_server_listener_count(n->server), 0);
  where.port = 0;
  where.host = "nobody.invalid";
  assert_int_equal(ws_server_listen(n->server, &where, &error), WS_ERR_RESOLVE);
  assert_non_null(strstr(error.message, "nobody.invalid"));
  assert_int_equal(error.system_error, 0);
}

static void options_of_a_server_are_checked(void **state) {
  net *n = *state;
  ws_error error;
  ws_server *server;
  ws_server_options options = defaults();
  options.workers = 2; /* Without handlers nobody would get the events. */
  assert_int_equal(ws_server_new(n->loop, &options, &server, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "workers"));
  options.workers = 0;
  options.path = "chat";
  assert_int_equal(ws_server_new(n->loop, &options, &server, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "path"));
  static const char *const bad[] = {""};
  options.path = NULL;
  options.protocols = bad;
  options.protocol_count = 1;
  assert_int_equal(ws_server_new(n->loop, &options, &server, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "protocol"));
  options = defaults();
  options.size = 0;
  assert_int_equal(ws_server_new(n->loop, &options, &server, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "size"));
  ws_conn_options unset = {0};
  options = defaults();
  options.conn = &unset;
  assert_int_equal(ws_server_new(n->loop, &options, &server, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "conn"));
  net_serve(n, NULL);
  ws_listen_options where = somewhere();
  where.size = 0;
  assert_int_equal(ws_server_listen(n->server, &where, &error),
                   WS_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "size"));
}

static void a_listener_can_be_inherited(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  assert_int_equal(ws_server_new(n->loop, NULL, &n->server, NULL), 0);
  ws_listen_options where = somewhere();
  where.fd = dup(listener->fd);
  assert_int_equal(ws_server_listen(n->server, &where, NULL), 0);
  assert_int_equal(ws_server_port(n->server, 0), listener->port);
  net_end *client = net_connect(n, listener->url, NULL);
  NET_UNTIL(n, client->is_open);
}

static void localhost_is_listened_on_in_both_families(void **state) {
  net *n = *state;
  assert_int_equal(ws_server_new(n->loop, NULL, &n->server, NULL), 0);
  ws_listen_options where = somewhere();
  where.host = "localhost";
  assert_int_equal(ws_server_listen(n->server, &where, NULL), 0);
  const size_t count = ws_server_listener_count(n->server);
  assert_true(count == 1 || count == 2); /* There may be no IPv6. */
  for (size_t i = 0; i < count; i++) {
    char url[64];
    snprintf(url, sizeof(url), "%s/", ws_server_url(n->server, i));
    net_end *client = net_connect(n, url, NULL);
    NET_UNTIL(n, client->is_open);
  }
}

static void open_sockets_stay_when_listening_stops(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = enter(n, &end);
  ws_server_stop_listening(n->server);
  net_end *client = net_connect(n, n->url, NULL);
  net_finish(n, client);
  assert_log(client, "error CONNECT, close 1006 unclean");
  raw_text(peer, "still here");
  NET_UNTIL(n, end->messages == 1);
}

/* -- Limits ---------------------------------------------------------------- */

static void connections_beyond_the_bound_are_closed_at_once(void **state) {
  net *n = *state;
  ws_server_options options = defaults();
  options.max_connections = 2;
  net_serve(n, &options);
  net_end *ends[2];
  raw *peers[2];
  for (int i = 0; i < 2; i++)
    peers[i] = enter(n, &ends[i]);
  raw *third = raw_connect(n, n->port);
  raw_print(third, "GET"); /* Not looked at. */
  assert_raw_ended(third);
  assert_int_equal(stats_of(n).connections, 2);
  assert_int_equal(stats_of(n).refused, 1);
  assert_int_equal(stats_of(n).opened, 2);
  raw_close(peers[0]); /* One goes, one may come. */
  net_finish(n, ends[0]);
  enter(n, &ends[0]);
}

static void one_address_may_be_held_to_fewer(void **state) {
  net *n = *state;
  ws_server_options options = defaults();
  options.max_connections_per_address = 1;
  net_serve(n, &options);
  net_end *end;
  raw *peer = enter(n, &end);
  assert_raw_ended(raw_connect(n, n->port));
  assert_int_equal(stats_of(n).refused, 1);
  raw_close(peer);
  net_finish(n, end);
  enter(n, &end);
}

static void expect_lack_of_descriptors(net *n, net_end *end,
                                       const ws_event *event) {
  (void)n, (void)end;
  if (event->type != WS_EVENT_SERVER_ERROR) return;
  assert_int_equal(event->u.error.system_error, EMFILE);
  assert_non_null(strstr(event->u.error.message, strerror(EMFILE)));
}

/* With no descriptors left the server waits for better times, and says so. */
static void a_lack_of_descriptors_is_outlived(void **state) {
  net *n = *state;
#ifdef UNDER_VALGRIND /* It has the connection accepted, and closes it. */
  skip();
#endif
  net_serve(n, NULL);
  n->on_event = expect_lack_of_descriptors;
  raw *waiting = raw_connect(n, n->port);
  raw_request(waiting, "/", NULL);
  struct rlimit before, none;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  none = before;
  const int next = dup(waiting->fd); /* The lowest number that is free. */
  close(next);
  none.rlim_cur = (rlim_t)next;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
  NET_UNTIL(n, n->log.len > 0);
  /* no spinning meanwhile. */
  ws_loop_stats stats;
  ws_loop_get_stats(n->loop, &stats);
  const uint64_t turns = stats.turns;
  for (const uint64_t start = net_clock(); net_clock() - start < 50;)
    net_turn(n, 50);
  ws_loop_get_stats(n->loop, &stats);
  assert_true(stats.turns - turns <= 5);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_log(n, "server-error SYSTEM");
  assert_raw_upgraded(waiting);
}

/* -- Keeping account ------------------------------------------------------- */

/* Row 375. */
static void a_server_knows_its_open_sockets(void **state) {
  net *n = *state;
  net_end *ends[3];
  raw *peers[3];
  for (int i = 0; i < 3; i++)
    peers[i] = enter(n, &ends[i]);
  raw_connect(n, n->port); /* Not open. */
  NET_UNTIL(n, stats_of(n).accepted == 4);
  ws_socket *sockets[3] = {NULL};
  assert_int_equal(ws_server_sockets(n->server, sockets, 2), 3);
  assert_null(sockets[2]);
  assert_int_equal(ws_server_sockets(n->server, sockets, 3), 3);
  for (int i = 0; i < 3; i++) {
    assert_true(ends[i]->socket == sockets[0] ||
                ends[i]->socket == sockets[1] || ends[i]->socket == sockets[2]);
  }
  raw_close(peers[1]);
  net_finish(n, ends[1]);
  assert_int_equal(ws_server_sockets(n->server, sockets, 3), 2);
  assert_int_equal(stats_of(n).accepted, 4);
  assert_int_equal(stats_of(n).opened, 3);
}

/* -- The end --------------------------------------------------------------- */

/* Rows 376, 379. */
static void a_server_closes_in_good_order(void **state) {
  net *n = *state;
  net_end *ends[2];
  raw *peers[2];
  for (int i = 0; i < 2; i++)
    peers[i] = enter(n, &ends[i]);
  assert_int_equal(ws_server_close(n->server, 999, NULL, 0, 0),
                   WS_ERR_INVALID_ACCESS);
  assert_int_equal(ws_server_close(n->server, 0, "restart", 7, 0), 0);
  for (int i = 0; i < 2; i++)
    assert_raw_close(peers[i], 1001, "restart");
  raw_send_close(peers[0], 1001, "");
  net_finish(n, ends[0]);
  assert_log(ends[0], "close 1001 clean");
  net_settle(n);
  assert_log(n, "");
  raw_send_close(peers[1], 1001, "");
  NET_UNTIL(n, n->server == NULL);
  assert_log(n, "server-close");
  net_turn(n, 0);
  assert_false(ws_loop_is_alive(n->loop));
}

static void a_server_without_sockets_ends_with_the_next_turn(void **state) {
  net *n = *state;
  net_serve(n, NULL);
  assert_int_equal(ws_server_close(n->server, 0, NULL, 0, 0), 0);
  assert_log(n, "");
  NET_UNTIL(n, n->server == NULL);
  assert_log(n, "server-close");
}

/* A deadline, and one that is brought forward. */
static void who_does_not_answer_is_dropped_at_the_deadline(void **state) {
  net *n = *state;
  net_end *end;
  for (int is_second_thought = 0; is_second_thought <= 1; is_second_thought++) {
    raw *peer = enter(n, &end);
    const uint32_t deadline = is_second_thought ? PATIENCE_MS * 2 : 50;
    assert_int_equal(ws_server_close(n->server, 1012, NULL, 0, deadline), 0);
    assert_raw_close(peer, 1012, "");
    if (is_second_thought)
      assert_int_equal(ws_server_close(n->server, 0, NULL, 0, 50), 0);
    NET_UNTIL(n, n->server == NULL);
    assert_true(end->is_over);
    assert_non_null(strstr(transcript_text(&end->log), "close 1006 unclean"));
    assert_raw_ended(peer);
  }
}

/* Without a deadline of its own each connection has close_timeout. */
static void without_a_deadline_the_close_timeout_counts(void **state) {
  net *n = *state;
  ws_conn_options conn;
  ws_conn_options_init(&conn);
  conn.close_timeout = 40;
  net_end *end;
  raw *peer;
  raw_open(n, &conn, NULL, &end, &peer);
  assert_int_equal(ws_server_close(n->server, 0, NULL, 0, 0), 0);
  NET_UNTIL(n, n->server == NULL);
  assert_log(end, "error CLOSE_TIMEOUT, close 1006 unclean");
  assert_raw_close(peer, 1001, "");
}

/* A request that was handed out before: the application may still refuse it as
 * it likes, but not accept it. */
static void a_request_that_waits_cannot_be_accepted_any_more(void **state) {
  net *n = *state;
  ws_server_options options = defaults();
  options.wants_upgrades = true;
  net_serve(n, &options);
  raw *peer = raw_connect(n, n->port);
  raw_request(peer, "/", NULL);
  NET_UNTIL(n, net_accepted(n, 0) != NULL);
  net_end *end = net_accepted(n, 0);
  assert_int_equal(ws_server_close(n->server, 0, NULL, 0, 0), 0);
  assert_raw_silent(peer);
  const char *reason = NULL;
  assert_int_equal(ws_socket_accept(end->socket, NULL, &reason),
                   WS_ERR_INVALID_STATE);
  assert_non_null(reason);
  assert_raw_refused(peer, 503);
  NET_UNTIL(n, n->server == NULL);
  assert_true(end->is_over);
}

/* Row 377: who is in the middle of a handshake, or comes later. */
static void handshakes_are_refused_when_a_server_closes(void **state) {
  net *n = *state;
  net_end *end;
  raw *open = enter(n, &end);
  raw *asking = raw_connect(n, n->port);
  raw_print(asking, "GET / HTTP/1.1\r\n");
  net_settle(n);
  assert_int_equal(ws_server_close(n->server, 0, NULL, 0, 0), 0);
  raw_print(asking, "Host: 127.0.0.1\r\n"
                    "Upgrade: websocket\r\n"
                    "Connection: Upgrade\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                    "Sec-WebSocket-Version: 13\r\n\r\n");
  assert_raw_refused(asking, 503);
  net_end *client = net_connect(n, n->url, NULL);
  net_finish(n, client);
  assert_log(client, "error CONNECT, close 1006 unclean");
  assert_raw_close(open, 1001, "");
  raw_send_close(open, 1001, "");
  NET_UNTIL(n, n->server == NULL);
}

static void a_closed_server_takes_nothing_more(void **state) {
  net *n = *state;
  net_end *end;
  enter(n, &end);
  assert_int_equal(ws_server_close(n->server, 0, NULL, 0, 0), 0);
  const ws_listen_options where = somewhere();
  assert_int_equal(ws_server_listen(n->server, &where, NULL),
                   WS_ERR_INVALID_STATE);
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  ws_socket *socket;
  assert_int_equal(
      ws_server_adopt(n->server, fds[0], NULL, NULL, 0, &socket, NULL),
      WS_ERR_INVALID_STATE);
  close(fds[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      AS_SERVER(a_server_says_where_it_listens),
      AS_SERVER(a_port_that_is_taken_is_named_in_the_error),
      AS_SERVER(options_of_a_server_are_checked),
      AS_SERVER(a_listener_can_be_inherited),
      AS_SERVER(localhost_is_listened_on_in_both_families),
      AS_SERVER(open_sockets_stay_when_listening_stops),
      AS_SERVER(connections_beyond_the_bound_are_closed_at_once),
      AS_SERVER(one_address_may_be_held_to_fewer),
      AS_SERVER(a_lack_of_descriptors_is_outlived),
      AS_SERVER(a_server_knows_its_open_sockets),
      AS_SERVER(a_server_closes_in_good_order),
      AS_SERVER(a_server_without_sockets_ends_with_the_next_turn),
      AS_SERVER(who_does_not_answer_is_dropped_at_the_deadline),
      AS_SERVER(without_a_deadline_the_close_timeout_counts),
      AS_SERVER(a_request_that_waits_cannot_be_accepted_any_more),
      AS_SERVER(handshakes_are_refused_when_a_server_closes),
      AS_SERVER(a_closed_server_takes_nothing_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
