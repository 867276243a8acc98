/* test_reentrancy.c - every call from inside every event.
 *
 * A client and a server of one loop hold a short conversation in which every
 * kind of event comes up. At the first event of one kind one thing is done that
 * nobody would expect there; then the conversation goes on as it can, and all
 * is ended. What must hold then is checked by the fixture, for every event, and
 * by the sanitizers. All kinds are joined with all deeds, for both roles, with
 * events that are pulled and with handlers. */
#include <stdio.h>
#include <stdlib.h>

#include "raw_peer.h"

typedef enum style {
  PULL,     /* ws_loop_next() */
  DISPATCH, /* ws_loop_dispatch() calls handlers. */
  RUN       /* So does ws_loop_run(). */
} style;

/* One run of the conversation. */
typedef struct play {
  net *n;
  const char *deed; /* Its name; NULL after it has gone well. */
  style style;
  ws_event_type type; /* The event at which something is done, */
  bool is_server;     /* of this role, */
  void (*act)(struct play *p, net_end *end); /* and what. */
  bool has_acted;
  bool is_ending; /* No more talking. */
  ws_conn_options conn;
  ws_socket_options options;
  net_end *client;
  ws_timer *ticker; /* Ends ws_loop_run(). */
  ws_timer *bell;   /* For timer events. */
} play;

static play current; /* The one under way. */

/* -- Deeds ----------------------------------------------------------------- */

static void do_close(play *p, net_end *end) {
  (void)p;
  ws_socket_close(end->socket, 3000, "done", 4);
}

static void do_close_with(play *p, net_end *end) {
  (void)p;
  ws_socket_close_with(end->socket, 1001, NULL, 0);
}

static void do_terminate(play *p, net_end *end) {
  (void)p;
  ws_socket_terminate(end->socket);
}

static void do_close_and_terminate(play *p, net_end *end) {
  do_close(p, end);
  do_terminate(p, end);
}

static void do_retain(play *p, net_end *end) {
  (void)p;
  if (!end->is_retained) net_retain(end);
}

static void do_retain_and_release(play *p, net_end *end) {
  (void)p;
  ws_socket_release(ws_socket_retain(end->socket));
}

static void do_send(play *p, net_end *end) {
  (void)p;
  ws_socket_send_text(end->socket, "extra", 5);
}

static void do_send_much(play *p, net_end *end) {
  (void)p;
  enum {
    SIZE = 400000
  };
  char *data = calloc(1, SIZE);
  assert_non_null(data);
  ws_socket_send_binary(end->socket, data, SIZE);
  free(data);
}

static void do_send_too_much(play *p, net_end *end) {
  for (int i = 0; i < 10; i++)
    do_send_much(p, end);
}

static void do_ping(play *p, net_end *end) {
  (void)p;
  ws_socket_ping(end->socket, "extra", 5);
}

static void do_pause(play *p, net_end *end) {
  (void)p;
  ws_socket_pause(end->socket);
}

static void do_pause_and_resume(play *p, net_end *end) {
  (void)p;
  ws_socket_pause(end->socket);
  ws_socket_resume(end->socket);
}

static void do_pause_and_close(play *p, net_end *end) {
  do_pause(p, end);
  do_close(p, end);
}

static void do_stream(play *p, net_end *end) {
  (void)p;
  ws_socket_set_streaming(end->socket, true);
}

/* The same to the other end of the connection. */
static net_end *other(const play *p, const net_end *end) {
  net_end *server = net_accepted(p->n, 0);
  net_end *result = end == p->client ? server : p->client;
  return result != NULL && result->socket != NULL ? result : NULL;
}

static void do_terminate_other(play *p, net_end *end) {
  if (other(p, end) != NULL) do_terminate(p, other(p, end));
}

static void do_close_both(play *p, net_end *end) {
  do_close(p, end);
  if (other(p, end) != NULL) do_close(p, other(p, end));
}

static void do_terminate_both(play *p, net_end *end) {
  do_terminate_other(p, end);
  do_terminate(p, end);
}

static void do_open_another(play *p, net_end *end) {
  (void)end;
  net_connect(p->n, p->n->url, &p->options);
}

static void do_open_and_terminate(play *p, net_end *end) {
  (void)end;
  ws_socket_terminate(net_connect(p->n, p->n->url, &p->options)->socket);
}

static void do_stop(play *p, net_end *end) {
  (void)end;
  ws_loop_stop(p->n->loop);
}

static void do_close_server(play *p, net_end *end) {
  (void)end;
  if (p->n->server != NULL) ws_server_close(p->n->server, 0, NULL, 0, 5);
}

static void do_stop_listening(play *p, net_end *end) {
  (void)end;
  if (p->n->server != NULL) ws_server_stop_listening(p->n->server);
}

static void do_publish(play *p, net_end *end) {
  ws_socket_subscribe(end->socket, "topic");
  if (p->n->server == NULL) return;
  ws_server_publish(p->n->server, "topic", WS_TEXT, "news", 4, 0, NULL);
  ws_server_publish(p->n->server, NULL, WS_TEXT, "all", 3, 0, end->socket);
  ws_socket_unsubscribe(end->socket, "topic");
}

static void do_respond(play *p, net_end *end) {
  (void)p;
  ws_socket_respond(end->socket, 403, NULL, 0, "no", 2, NULL);
  ws_socket_accept(end->socket, NULL, NULL);
}

static void do_free_timer(play *p, net_end *end) {
  (void)end;
  ws_timer_free(p->bell);
  p->bell = NULL;
}

static void do_new_timer(play *p, net_end *end) {
  (void)end;
  ws_timer *timer;
  assert_int_equal(ws_timer_new(p->n->loop, 0, NULL, NULL, &timer), 0);
}

static void nothing(void *arg) {
  (void)arg;
}

static void do_post(play *p, net_end *end) {
  (void)end;
  assert_int_equal(ws_loop_post(p->n->loop, nothing, NULL), 0);
}

static void do_sender(play *p, net_end *end) {
  (void)p;
  ws_sender *sender;
  if (ws_sender_new(end->socket, &sender) != 0) return; /* It has ended. */
  ws_sender_send(sender, WS_TEXT, "sent", 4, 0);
  ws_sender_close(sender, 1000, NULL, 0);
  ws_sender_free(sender);
}

static void do_ask_everything(play *p, net_end *end) {
  char address[WS_ADDRESS_SIZE];
  ws_conn_stats stats;
  ws_socket *sockets[4];
  ws_socket_peer_address(end->socket, address);
  ws_socket_get_stats(end->socket, &stats);
  ws_socket_tls_info(end->socket, NULL);
  if (p->n->server != NULL) ws_server_sockets(p->n->server, sockets, 4);
}

#define DEED(name) \
  { #name, name }
static const struct {
  const char *name;
  void (*act)(play *p, net_end *end);
} deeds[] = {
    DEED(do_close),
    DEED(do_close_with),
    DEED(do_terminate),
    DEED(do_close_and_terminate),
    DEED(do_retain),
    DEED(do_retain_and_release),
    DEED(do_send),
    DEED(do_send_much),
    DEED(do_send_too_much),
    DEED(do_ping),
    DEED(do_pause),
    DEED(do_pause_and_resume),
    DEED(do_pause_and_close),
    DEED(do_stream),
    DEED(do_terminate_other),
    DEED(do_close_both),
    DEED(do_terminate_both),
    DEED(do_open_another),
    DEED(do_open_and_terminate),
    DEED(do_stop),
    DEED(do_close_server),
    DEED(do_stop_listening),
    DEED(do_publish),
    DEED(do_respond),
    DEED(do_free_timer),
    DEED(do_new_timer),
    DEED(do_post),
    DEED(do_sender),
    DEED(do_ask_everything),
};

/* -- The conversation ------------------------------------------------------ */

/* What happens if nobody does anything odd: messages and pings both ways, more
 * than is taken at once, so that there is a drain event, and a failure of the
 * end that is looked at. */
static void talk(play *p, net_end *end, const ws_event *event) {
  enum {
    MUCH = 200000
  };
  static const char data[MUCH];
  ws_socket *socket = end->socket;
  switch (event->type) {
  case WS_EVENT_REQUEST: ws_socket_accept(socket, NULL, NULL); return;
  case WS_EVENT_OPEN:
    ws_socket_send_text(socket, "hello", 5);
    ws_socket_ping(socket, "p", 1);
    ws_socket_send_binary(socket, data, MUCH);
    return;
  case WS_EVENT_DRAIN: ws_socket_send_text(socket, "last", 4); return;
  case WS_EVENT_MESSAGE:
    if (event->u.message.len == 4 && end->is_server != p->is_server)
      ws_socket_terminate(socket);
    return;
  default: return;
  }
}

static bool is_the_event(const play *p, const net_end *end,
                         const ws_event *event) {
  if (p->has_acted || event->type != p->type) return false;
  return event->socket == NULL || end->is_server == p->is_server;
}

static void on_event(net *n, net_end *end, const ws_event *event) {
  play *p = n->arg;
  if (is_the_event(p, end, event)) {
    p->has_acted = true;
    /* An event of no socket acts on any. */
    if (end == NULL) end = p->client->socket != NULL ? p->client : NULL;
    if (end != NULL) p->act(p, end);
  }
  if (event->socket != NULL && !p->is_ending)
    talk(p, ws_socket_user_data(event->socket), event);
}

static void handle_socket(ws_socket *socket, const ws_event *event) {
  (void)socket;
  net_record(current.n, event);
}

static void handle_server(ws_server *server, const ws_event *event) {
  (void)server;
  net_record(current.n, event);
}

static const ws_handlers handlers = {
    .size = sizeof(handlers),
    .on_upgrade = handle_socket,
    .on_request = handle_socket,
    .on_open = handle_socket,
    .on_message = handle_socket,
    .on_ping = handle_socket,
    .on_pong = handle_socket,
    .on_drain = handle_socket,
    .on_error = handle_socket,
    .on_close = handle_socket,
    .on_reconnect = handle_socket,
    .on_server_error = handle_server,
    .on_server_close = handle_server,
};

static void stop(void *arg) {
  ws_loop_stop(arg);
}

static void turn(play *p, int timeout_ms) {
  switch (p->style) {
  case PULL: net_turn(p->n, timeout_ms); return;
  case DISPATCH:
    assert_int_equal(ws_loop_dispatch(p->n->loop, timeout_ms), 0);
    return;
  case RUN:
    ws_timer_set(p->ticker, (uint64_t)timeout_ms);
    assert_int_equal(ws_loop_run(p->n->loop), 0);
    return;
  }
}

/* Timers and tasks are events that only a pull shows. */
static void ring(void *arg) {
  play *p = arg;
  if (p->style == PULL) return;
  const ws_event event = {.type = p->type};
  on_event(p->n, NULL, &event);
}

static void begin(play *p) {
  net *n = p->n;
  ws_conn_options_init(&p->conn);
  p->conn.send_high_water = 1000;
  p->conn.max_send_queue = 2000000;
  ws_server_options serving;
  ws_server_options_init(&serving);
  serving.conn = &p->conn;
  serving.wants_upgrades = true;
  serving.handlers = p->style == PULL ? NULL : &handlers;
  net_serve(n, &serving);
  ws_socket_options_init(&p->options);
  p->options.conn = &p->conn;
  p->options.handlers = serving.handlers;
  p->options.reconnect = p->type == WS_EVENT_RECONNECT;
  p->options.reconnect_min = 1;
  p->options.reconnect_max = 2;
  n->on_event = on_event;
  n->arg = p;
  p->client = net_connect(n, n->url, &p->options);
  /* By then it has ended, and is there to be acted on all the same. */
  if (p->type == WS_EVENT_SERVER_CLOSE) net_retain(p->client);
  assert_int_equal(
      ws_timer_new(n->loop, WS_NO_DEADLINE, stop, n->loop, &p->ticker), 0);
  const bool rings = p->type == WS_EVENT_TIMER;
  assert_int_equal(
      ws_timer_new(n->loop, rings ? 1 : WS_NO_DEADLINE, ring, p, &p->bell), 0);
  if (p->type == WS_EVENT_TASK)
    assert_int_equal(ws_loop_post(n->loop, ring, p), 0);
}

/* Ends all that is left, and sees that it does end. */
static void finish(play *p) {
  net *n = p->n;
  p->is_ending = true;
  for (net_end *end = n->ends; end != NULL; end = end->next)
    if (end->socket != NULL) ws_socket_terminate(end->socket);
  if (n->server != NULL) ws_server_close(n->server, 0, NULL, 0, 1);
  ws_timer_free(p->ticker);
  ws_timer_free(p->bell);
  p->style = p->style == RUN ? DISPATCH : p->style;
  for (const uint64_t start = net_clock(); ws_loop_is_alive(n->loop);) {
    if (net_clock() - start > PATIENCE_MS) net_fail(n, "the end");
    turn(p, 1);
  }
  turn(p, 0); /* The handles of the last events go. */
}

static void run(play *p) {
  void *state = &net_as_client;
  net_set_up(&state);
  p->n = state;
  begin(p);
  for (const uint64_t start = net_clock(); !p->has_acted;) {
    if (net_clock() - start > PATIENCE_MS) net_fail(p->n, "the event");
    if (p->type == WS_EVENT_SERVER_CLOSE && p->client->is_over)
      do_close_server(p, NULL);
    turn(p, 1);
  }
  for (int turns = 0; turns < 5; turns++)
    turn(p, 0);
  finish(p);
  net_tear_down(&state);
  p->deed = NULL;
}

/* -- The matrix ------------------------------------------------------------ */

/* A row of it. */
typedef struct row {
  ws_event_type type;
  bool is_server;
} row;

/* Row 283 among them: handles are released in every event. */
static void anything_goes(void **state) {
  const row *r = *state;
  for (style s = PULL; s <= RUN; s++) {
    for (size_t i = 0; i < COUNT(deeds); i++) {
      current = (play){.deed = deeds[i].name,
                       .style = s,
                       .type = r->type,
                       .is_server = r->is_server,
                       .act = deeds[i].act};
      run(&current);
    }
  }
}

static int show_deed(void **state) {
  (void)state;
  static const char *const styles[] = {"pulled", "dispatched", "run"};
  if (current.deed != NULL)
    print_error("%s, %s\n", styles[current.style], current.deed);
  return 0;
}

#define ROW(name, type, is_server)                                  \
  {                                                                 \
    "anything goes " name, anything_goes, NULL, show_deed, &(row) { \
      type, is_server                                               \
    }                                                               \
  }

int main(void) {
  const struct CMUnitTest tests[] = {
      ROW("in a request", WS_EVENT_REQUEST, true),
      ROW("when a client opens", WS_EVENT_OPEN, false),
      ROW("when a server opens", WS_EVENT_OPEN, true),
      ROW("in a message to a client", WS_EVENT_MESSAGE, false),
      ROW("in a message to a server", WS_EVENT_MESSAGE, true),
      ROW("in a ping to a client", WS_EVENT_PING, false),
      ROW("in a ping to a server", WS_EVENT_PING, true),
      ROW("in a pong to a client", WS_EVENT_PONG, false),
      ROW("in a pong to a server", WS_EVENT_PONG, true),
      ROW("when a client drains", WS_EVENT_DRAIN, false),
      ROW("when a server drains", WS_EVENT_DRAIN, true),
      ROW("in an error of a client", WS_EVENT_ERROR, false),
      ROW("in an error of a server", WS_EVENT_ERROR, true),
      ROW("in the close of a client", WS_EVENT_CLOSE, false),
      ROW("in the close of a server", WS_EVENT_CLOSE, true),
      ROW("when a client comes again", WS_EVENT_RECONNECT, false),
      ROW("in a timer", WS_EVENT_TIMER, false),
      ROW("in a task", WS_EVENT_TASK, false),
      ROW("when a server has closed", WS_EVENT_SERVER_CLOSE, false),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
