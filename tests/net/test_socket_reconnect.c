/* test_socket_reconnect.c - attempts after the first: clients that connect
 * again, and redirects (row 344, A-40). */
#include <stdio.h>

#include "raw_peer.h"

static ws_header header(const char *name, const char *value) {
  return (ws_header){name, strlen(name), value, strlen(value)};
}

/* -- Connecting again ------------------------------------------------------ */

/* A client that comes back within milliseconds. */
static ws_socket_options persistent(void) {
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.reconnect = true;
  options.reconnect_min = 1;
  options.reconnect_max = 4;
  return options;
}

/* The last reconnect event. */
typedef struct retry {
  unsigned count;
  uint32_t attempt, delay;
  uint16_t close_code;
  char close_reason[32];
  ws_err error;
  enum {
    GO_ON,
    CLOSE,
    TERMINATE,
    NEW_HEADERS
  } act;
} retry;

static void keep_retry(net *n, net_end *end, const ws_event *event) {
  retry *r = n->arg;
  if (event->type != WS_EVENT_RECONNECT) return;
  r->count++;
  r->attempt = event->reconnect.attempt;
  r->delay = event->reconnect.delay;
  r->close_code = event->reconnect.close_code;
  snprintf(r->close_reason, sizeof(r->close_reason), "%s",
           event->reconnect.close_reason);
  r->error = event->u.error.err;
  const ws_header fresh = header("Authorization", "Bearer fresh");
  switch (r->act) {
  case GO_ON: return;
  case CLOSE: ws_socket_close(end->socket, 1000, NULL, 0); return;
  case TERMINATE: ws_socket_terminate(end->socket); return;
  case NEW_HEADERS:
    assert_int_equal(
        ws_socket_set_request_headers(end->socket, &fresh, 1, NULL), 0);
    return;
  }
}

static raw *visit(net *n, retry *r, net_end **out_end) {
  const ws_socket_options options = persistent();
  n->on_event = keep_retry;
  n->arg = r;
  return raw_visit(n, &options, out_end);
}

static void a_lost_connection_is_made_again(void **state) {
  net *n = *state;
  retry r = {0};
  net_end *end;
  raw *peer = visit(n, &r, &end);
  raw_answer(peer, NULL);
  NET_UNTIL(n, end->is_open);
  ws_socket *socket = end->socket;
  raw_close(peer);
  NET_UNTIL(n, r.count == 1);
  assert_int_equal(r.attempt, 1);
  assert_true(r.delay <= 4);
  assert_int_equal(r.error, WS_ERR_UNEXPECTED_EOF);
  assert_int_equal(r.close_code, 1006);
  assert_int_equal(ws_socket_send_text(socket, "x", 1), WS_ERR_INVALID_STATE);
  peer = raw_accept(peer->listener);
  raw_upgrade(peer, NULL);
  NET_UNTIL(n, end->is_open);
  assert_ptr_equal(end->socket, socket);
  assert_int_equal(ws_socket_send_text(socket, "again", 5), 0);
  assert_raw_text(peer, "again");
  assert_log(end, "open, reconnect 1, open");
}

static void a_close_of_the_server_is_no_reason_to_stay_away(void **state) {
  net *n = *state;
  retry r = {0};
  net_end *end;
  raw *peer = visit(n, &r, &end);
  raw_answer(peer, NULL);
  raw_send_close(peer, 1012, "restart");
  assert_raw_close(peer, 1012, "restart");
  raw_close(peer);
  NET_UNTIL(n, r.count == 1);
  assert_int_equal(r.close_code, 1012);
  assert_string_equal(r.close_reason, "restart");
  assert_int_equal(r.error, WS_OK);
  raw_upgrade(raw_accept(peer->listener), NULL);
  NET_UNTIL(n, end->is_open);
}

static void attempts_are_bounded_and_the_last_failure_is_told(void **state) {
  net *n = *state;
  retry r = {0};
  n->on_event = keep_retry;
  n->arg = &r;
  ws_socket_options options = persistent();
  options.reconnect_attempts = 3;
  net_end *end = net_connect(n, raw_nowhere(n), &options);
  net_finish(n, end);
  assert_log(end, "reconnect 1, reconnect 2, reconnect 3, error CONNECT, "
                  "close 1006 unclean");
  assert_int_equal(r.error, WS_ERR_CONNECT);
}

/* Attempts are counted from the last success. */
static void success_begins_the_count_anew(void **state) {
  net *n = *state;
  retry r = {0};
  net_end *end;
  raw *peer = visit(n, &r, &end);
  for (unsigned i = 1; i <= 3; i++) {
    raw_close(peer); /* Not even answered. */
    NET_UNTIL(n, r.count == i);
    assert_int_equal(r.attempt, i);
    peer = raw_accept(peer->listener);
    raw_take_request(peer);
  }
  raw_answer(peer, NULL);
  NET_UNTIL(n, end->is_open);
  raw_close(peer);
  NET_UNTIL(n, r.count == 4);
  assert_int_equal(r.attempt, 1);
}

static void who_closes_stays_away(void **state) {
  net *n = *state;
  retry r = {0};
  net_end *end;
  raw *peer = visit(n, &r, &end);
  raw_answer(peer, NULL);
  NET_UNTIL(n, end->is_open);
  ws_socket_close(end->socket, 1000, NULL, 0);
  assert_raw_close(peer, 1000, "");
  raw_send_close(peer, 1000, "");
  raw_close(peer);
  net_finish(n, end);
  assert_log(end, "open, close 1000 clean");
}

static void who_terminates_stays_away(void **state) {
  net *n = *state;
  retry r = {0};
  net_end *end;
  raw *peer = visit(n, &r, &end);
  raw_answer(peer, NULL);
  NET_UNTIL(n, end->is_open);
  ws_socket_terminate(end->socket);
  net_finish(n, end);
  assert_log(end, "open, close 1006 unclean");
}

static void a_client_can_give_up_when_it_is_asked(void **state) {
  net *n = *state;
  for (int act = CLOSE; act <= TERMINATE; act++) {
    retry r = {.act = act};
    net_end *end;
    raw *peer = visit(n, &r, &end);
    raw_answer(peer, NULL);
    NET_UNTIL(n, end->is_open);
    raw_close(peer);
    net_finish(n, end);
    assert_log(end, "open, reconnect 1, error ABORTED, close 1006 unclean");
  }
}

static void each_attempt_can_have_headers_of_its_own(void **state) {
  net *n = *state;
  retry r = {.act = NEW_HEADERS};
  net_end *end;
  raw *peer = visit(n, &r, &end);
  assert_null(raw_header(peer->request, "Authorization"));
  raw_close(peer);
  peer = raw_accept(peer->listener);
  raw_take_request(peer);
  assert_string_equal(raw_header(peer->request, "Authorization"),
                      "Bearer fresh");
  const ws_header bad = header("Host", "x");
  assert_int_equal(ws_socket_set_request_headers(end->socket, &bad, 1, NULL),
                   WS_ERR_INVALID_ARGUMENT);
}

static void a_loop_may_end_while_a_client_waits(void **state) {
  net *n = *state;
  retry r = {0};
  n->on_event = keep_retry;
  n->arg = &r;
  ws_socket_options options = persistent();
  options.reconnect_min = options.reconnect_max = PATIENCE_MS;
  net_end *end;
  raw *peer = raw_visit(n, &options, &end);
  raw_close(peer);
  NET_UNTIL(n, r.count == 1);
}

/* -- Redirects ------------------------------------------------------------- */

static void redirect(raw *peer, unsigned status, const char *location) {
  raw_print(peer,
            "HTTP/1.1 %u Elsewhere\r\nLocation: %s\r\nContent-Length: 0\r\n"
            "\r\n",
            status, location);
}

static raw *visit_with(net *n, uint32_t max_redirects, net_end **out_end) {
  static ws_header headers[2];
  headers[0] = header("Authorization", "Bearer secret");
  headers[1] = header("Cookie", "a=b");
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.max_redirects = max_redirects;
  options.headers = headers;
  options.header_count = COUNT(headers);
  return raw_visit(n, &options, out_end);
}

/* Row 75. */
static void redirects_are_not_followed_unasked(void **state) {
  net *n = *state;
  static const unsigned statuses[] = {301, 302, 303, 307, 308};
  raw *elsewhere = raw_listen(n);
  for (size_t i = 0; i < COUNT(statuses); i++) {
    net_end *end;
    raw *peer = visit_with(n, 0, &end);
    redirect(peer, statuses[i], elsewhere->url);
    net_finish(n, end);
    assert_log(end, "error UNEXPECTED_STATUS, close 1006 unclean");
    assert_int_equal(end->cause.status, statuses[i]);
    assert_false(raw_has_visitor(elsewhere));
  }
}

/* Locations relative to "/", which is where raw_visit() goes. */
static void a_redirect_within_an_origin_keeps_credentials(void **state) {
  net *n = *state;
  static const struct {
    const char *location, *request_line;
  } cases[] = {
      {"/a?b#c", "GET /a?b HTTP/1.1\r\n"},
      {"x/../y", "GET /y HTTP/1.1\r\n"},
      {"?q", "GET /?q HTTP/1.1\r\n"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    net_end *end;
    raw *peer = visit_with(n, 1, &end);
    redirect(peer, 302, cases[i].location);
    peer = raw_accept(peer->listener);
    raw_take_request(peer);
    assert_memory_equal(peer->request, cases[i].request_line,
                        strlen(cases[i].request_line));
    assert_string_equal(raw_header(peer->request, "Authorization"),
                        "Bearer secret");
    assert_string_equal(raw_header(peer->request, "Cookie"), "a=b");
    raw_answer(peer, NULL);
    NET_UNTIL(n, end->is_open);
    assert_log(end, "open");
  }
}

/* RFC 3986 5.2: a reference replaces what follows the last slash of the path.
 */
static void a_redirect_may_be_relative_to_a_folder(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n);
  char url[160];
  snprintf(url, sizeof(url), "%sa/b?c/d", listener->url);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.max_redirects = 1;
  net_end *end = net_connect(n, url, &options);
  raw *peer = raw_accept(listener);
  raw_take_request(peer);
  redirect(peer, 308, "e");
  peer = raw_accept(listener);
  assert_memory_equal(raw_take_request(peer), "GET /a/e HTTP/1.1\r\n", 19);
  raw_answer(peer, NULL);
  NET_UNTIL(n, end->is_open);
}

/* A relative reference means the same server, and that is no port of this
 * machine. */
static void a_redirect_within_a_unix_socket_stays_there(void **state) {
  net *n = *state;
  static const struct {
    const char *location, *request_line;
  } cases[] = {
      {"/a?b", "GET /a?b HTTP/1.1\r\n"},
      {"e", "GET /c/e HTTP/1.1\r\n"},
  };
  raw *listener = raw_listen_unix(n, "s");
  char url[160];
  snprintf(url, sizeof(url), "%sc/d", listener->url);
  const ws_header secret = header("Cookie", "a=b");
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.max_redirects = 1;
  options.headers = &secret;
  options.header_count = 1;
  for (size_t i = 0; i < COUNT(cases); i++) {
    net_end *end = net_connect(n, url, &options);
    raw *peer = raw_accept(listener);
    raw_take_request(peer);
    redirect(peer, 302, cases[i].location);
    NET_UNTIL(n, end->is_over || raw_has_visitor(listener));
    assert_false(end->is_over);
    peer = raw_accept(listener);
    raw_take_request(peer);
    assert_memory_equal(peer->request, cases[i].request_line,
                        strlen(cases[i].request_line));
    assert_string_equal(raw_header(peer->request, "Cookie"), "a=b");
    raw_answer(peer, NULL);
    NET_UNTIL(n, end->is_open);
  }
}

static void a_unix_socket_may_redirect_elsewhere_but_to_its_like(void **state) {
  net *n = *state;
  raw *listener = raw_listen_unix(n, "s"), *elsewhere = raw_listen(n);
  raw *other = raw_listen_unix(n, "t");
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.max_redirects = 1;
  net_end *end = net_connect(n, listener->url, &options);
  raw *peer = raw_accept(listener);
  raw_take_request(peer);
  redirect(peer, 302, elsewhere->url + strlen("ws:")); /* "//host/" */
  raw_upgrade(raw_accept(elsewhere), NULL);
  NET_UNTIL(n, end->is_open);

  end = net_connect(n, listener->url, &options);
  peer = raw_accept(listener);
  raw_take_request(peer);
  char location[160]; /* With a "://", to be no relative reference. */
  snprintf(location, sizeof(location), "%s:/a://b", other->url);
  redirect(peer, 302, location);
  net_finish(n, end);
  assert_log(end, "error REDIRECT, close 1006 unclean");
}

/* Those of a URL are no header of the options. */
static void credentials_of_the_url_stay_within_its_origin(void **state) {
  net *n = *state;
  raw *listener = raw_listen(n), *elsewhere = raw_listen(n);
  char url[160];
  snprintf(url, sizeof(url), "ws://me:secret@127.0.0.1:%u/", listener->port);
  ws_socket_options options;
  ws_socket_options_init(&options);
  options.max_redirects = 5;
  net_end *end = net_connect(n, url, &options);
  for (int i = 0; i < 3; i++) {
    raw *peer = raw_accept(listener);
    raw_take_request(peer);
    assert_string_equal(raw_header(peer->request, "Authorization"),
                        "Basic bWU6c2VjcmV0");
    redirect(peer, 302, i < 2 ? "/again" : elsewhere->url);
  }
  raw *there = raw_accept(elsewhere);
  raw_take_request(there);
  assert_null(raw_header(there->request, "Authorization"));
  redirect(there, 302, listener->url);
  raw *back = raw_accept(listener);
  raw_take_request(back);
  assert_null(raw_header(back->request, "Authorization"));
  raw_answer(back, NULL);
  NET_UNTIL(n, end->is_open);
}

/* Row 344. */
static void credentials_do_not_go_to_another_origin(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = visit_with(n, 5, &end);
  raw *elsewhere = raw_listen(n); /* Another port is another origin. */
  redirect(peer, 307, elsewhere->url);
  raw *there = raw_accept(elsewhere);
  raw_take_request(there);
  assert_null(raw_header(there->request, "Authorization"));
  assert_null(raw_header(there->request, "Cookie"));
  redirect(there, 307, peer->listener->url); /* Nor back again. */
  raw *back = raw_accept(peer->listener);
  raw_take_request(back);
  assert_null(raw_header(back->request, "Authorization"));
  assert_null(raw_header(back->request, "Cookie"));
  raw_answer(back, NULL);
  NET_UNTIL(n, end->is_open);
  assert_string_equal(ws_socket_url(end->socket), peer->listener->url);
}

/* What was redirected to may be gone for good, and with it the reason to leave
 * credentials behind. */
static void a_client_comes_back_to_where_it_was_sent_first(void **state) {
  net *n = *state;
  retry r = {0};
  n->on_event = keep_retry;
  n->arg = &r;
  ws_header secret = header("Authorization", "Bearer secret");
  ws_socket_options options = persistent();
  options.max_redirects = 2;
  options.headers = &secret;
  options.header_count = 1;
  net_end *end;
  raw *peer = raw_visit(n, &options, &end);
  raw *elsewhere = raw_listen(n);
  for (unsigned times = 1; times <= 3; times++) {
    assert_string_equal(raw_header(peer->request, "Authorization"),
                        "Bearer secret");
    redirect(peer, 302, elsewhere->url);
    raw *there = raw_accept(elsewhere);
    raw_take_request(there);
    assert_null(raw_header(there->request, "Authorization"));
    assert_string_equal(ws_socket_url(end->socket), elsewhere->url);
    raw_close(there);
    NET_UNTIL(n, r.count == times);
    assert_string_equal(ws_socket_url(end->socket), peer->listener->url);
    peer = raw_accept(peer->listener);
    raw_take_request(peer);
  }
}

static void a_circle_of_redirects_is_left_at_the_bound(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = visit_with(n, 3, &end);
  for (int i = 0; i < 3; i++) {
    redirect(peer, 301, "/again");
    peer = raw_accept(peer->listener);
    raw_take_request(peer);
  }
  redirect(peer, 301, "/again");
  net_finish(n, end);
  assert_log(end, "error REDIRECT, close 1006 unclean");
  assert_non_null(strstr(end->cause_text, "max_redirects"));
}

static void redirects_to_odd_places_are_not_followed(void **state) {
  net *n = *state;
  static const char *const locations[] = {
      "ws+unix:/run/s:/",   "ftp://127.0.0.1/",    "http://[bad/",
      "file:///etc/passwd", "javascript:alert(1)", "ws+unix:///run/s:/",
  };
  for (size_t i = 0; i < COUNT(locations); i++) {
    net_end *end;
    raw *peer = visit_with(n, 5, &end);
    redirect(peer, 302, locations[i]);
    NET_UNTIL(n, end->is_over || raw_has_visitor(peer->listener));
    if (!end->is_over) { /* Taken for a relative one: stays where it is. */
      ws_socket_terminate(end->socket);
      net_finish(n, end);
      continue;
    }
    assert_log(end, "error REDIRECT, close 1006 unclean");
  }
}

static void a_redirect_that_says_not_where_to_is_a_failure(void **state) {
  net *n = *state;
  net_end *end;
  raw *peer = visit_with(n, 5, &end);
  raw_print(peer, "HTTP/1.1 302 Lost\r\nContent-Length: 0\r\n\r\n");
  net_finish(n, end);
  assert_log(end, "error UNEXPECTED_STATUS, close 1006 unclean");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(a_lost_connection_is_made_again),
      CASE(a_close_of_the_server_is_no_reason_to_stay_away),
      CASE(attempts_are_bounded_and_the_last_failure_is_told),
      CASE(success_begins_the_count_anew),
      CASE(who_closes_stays_away),
      CASE(who_terminates_stays_away),
      CASE(a_client_can_give_up_when_it_is_asked),
      CASE(each_attempt_can_have_headers_of_its_own),
      CASE(a_loop_may_end_while_a_client_waits),
      CASE(redirects_are_not_followed_unasked),
      CASE(a_redirect_within_an_origin_keeps_credentials),
      CASE(a_redirect_may_be_relative_to_a_folder),
      CASE(a_redirect_within_a_unix_socket_stays_there),
      CASE(a_unix_socket_may_redirect_elsewhere_but_to_its_like),
      CASE(credentials_of_the_url_stay_within_its_origin),
      CASE(credentials_do_not_go_to_another_origin),
      CASE(a_client_comes_back_to_where_it_was_sent_first),
      CASE(a_circle_of_redirects_is_left_at_the_bound),
      CASE(redirects_to_odd_places_are_not_followed),
      CASE(a_redirect_that_says_not_where_to_is_a_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
