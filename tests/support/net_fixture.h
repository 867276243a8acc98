/* net_fixture.h - a loop under test, and what happened in it.
 *
 * All runs in the thread of the test: whatever a test waits for, the loop is
 * turned until it has come. Each socket of the library gets a net_end with a
 * log of its events, in words like those of the behaviour table:
 *
 *     "open, text hi, ping, error EXPECTED_MASK, close 1006 unclean"
 *
 * With every event the fixture checks what holds for all of them: the ready
 * state that a handler sees, and that error and close come once and last (rows
 * 105, 108, 136, 137, 282). At the end of a test no memory of the loop and no
 * descriptor may be left. */
#ifndef NET_FIXTURE_H
#define NET_FIXTURE_H

#include "io/poller_backend.h"
#include "test.h"
#include "test_alloc.h"
#include "transcript.h"
#include "ws/ws.h"

/* What must happen happens long before; only a failing test takes so long. */
#ifndef PATIENCE_MS
#define PATIENCE_MS 20000
#endif

typedef struct net net;
typedef struct net_end net_end;
typedef struct raw raw; /* raw_peer.h */

/* -- The fixture ----------------------------------------------------------- */

/* A socket of the library and what happened to it. */
struct net_end {
  net_end *next;     /* In the order of their first events or calls. */
  ws_socket *socket; /* NULL after its close event, unless `is_retained`. */
  bool is_retained;  /* For the test to set: the fixture releases it. */
  bool is_server;
  transcript log;
  bool is_open; /* The open event has come. */
  bool is_over; /* The close event has come. */
  ws_event_type last_type;
  unsigned messages;
  size_t message_bytes; /* Of all messages. */
  uint8_t *message;     /* The last one; never NULL after it. */
  size_t message_len;
  uint32_t rtt;         /* Of the last pong. */
  ws_cause cause;       /* Of the error, without `response`. */
  char cause_text[256]; /* `cause.message` points here. */
};

struct net {
  ws_role role;     /* Which end of raw_open() is the library's. */
  test_alloc alloc; /* All memory of the loop. */
  ws_loop *loop;
  int loop_fd; /* -1: the back end has none. */
  net_end *ends;
  transcript log; /* Events that are of no socket. */

  /* The server of net_serve(), NULL after its last event. */
  ws_server *server;
  uint16_t port;
  char url[128];

  /* Called with each event after it is in the log, and before its handler.
   * `end` is NULL for an event that is of no socket. */
  void (*on_event)(net *n, net_end *end, const ws_event *event);
  void *arg; /* For the test. */

  /* All below is the fixture's own. */
  raw *peers;
  char dir[64]; /* "" while there is none. */
};

/* -- Tests ----------------------------------------------------------------- */

/* What a test is run with; the initial state of a cmocka test. */
typedef struct net_kind {
  ws_role role;
  const char *backend; /* NULL: the best of the system. */
} net_kind;

extern net_kind net_as_client;
extern net_kind net_as_server;
extern net_kind net_on_epoll;
extern net_kind net_on_kqueue;
extern net_kind net_on_poll;

/* For cmocka; `*state` becomes a net. */
int net_set_up(void **state);
int net_tear_down(void **state);

/* Elements of a list of tests: one of a client, or where the role does not
 * matter; one of a server; one for each role; one for each back end. */
#define NET_TEST(name, test, kind) \
  { name, test, net_set_up, net_tear_down, &(kind) }
#define CASE(test)      NET_TEST(#test, test, net_as_client)
#define AS_SERVER(test) NET_TEST(#test, test, net_as_server)
#define BOTH_ROLES(test)                           \
  NET_TEST("client: " #test, test, net_as_client), \
      NET_TEST("server: " #test, test, net_as_server)
#define EACH_BACKEND(test)                                   \
  IF_EPOLL(NET_TEST("epoll: " #test, test, net_on_epoll))    \
  IF_KQUEUE(NET_TEST("kqueue: " #test, test, net_on_kqueue)) \
  NET_TEST("poll: " #test, test, net_on_poll)

/* With the comma behind it, if there is such a back end. */
#if WS__HAVE_EPOLL
#define IF_EPOLL(...) __VA_ARGS__,
#else
#define IF_EPOLL(...)
#endif
#if WS__HAVE_KQUEUE
#define IF_KQUEUE(...) __VA_ARGS__,
#else
#define IF_KQUEUE(...)
#endif

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A byte string and its length, as two arguments. */
#define BYTES(...) \
  (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* -- Sockets and servers --------------------------------------------------- */

/* Opens a client. `options` may be NULL; its user data is not looked at. */
net_end *net_connect(net *n, const char *url, const ws_socket_options *options);

/* Makes a server that listens on 127.0.0.1, or as `where` says. `options` may
 * be NULL. */
void net_serve(net *n, const ws_server_options *options);
void net_serve_at(net *n, const ws_server_options *options,
                  const ws_listen_options *where);

/* The server's socket number `index`, counted from 0; NULL if there is none
 * yet. */
net_end *net_accepted(const net *n, unsigned index);

/* Has a client and the server of net_serve() open a connection. */
void net_open_pair(net *n, const ws_socket_options *options,
                   net_end **out_client, net_end **out_server);

/* Keeps the handle of a socket valid until the end of the test. */
ws_socket *net_retain(net_end *end);

/* -- Turning the loop ------------------------------------------------------ */

/* One turn; its events go to the logs. */
void net_turn(net *n, int timeout_ms);

/* What net_turn() does with an event: logs and checks it, then calls its
 * handler. For tests that pull themselves. */
void net_take(net *n, const ws_event *event);

/* The first half of it, for handlers. */
void net_record(net *n, const ws_event *event);

/* Turns until the condition holds, and fails when it takes too long. */
#define NET_UNTIL(n, condition)                \
  do {                                         \
    const uint64_t started_ = net_clock();     \
    while (!(condition))                       \
      net_turn_since(n, started_, #condition); \
  } while (0)

/* Turns until a socket has had its close event. */
void net_finish(net *n, const net_end *end);

/* Turns until `fd` is ready for `events`, as for poll(). */
void net_wait_for(net *n, int fd, short events);

/* Turns until what the raw peers have written has arrived and there is nothing
 * left to do without waiting. What goes to the peers may still be on its way.
 */
void net_settle(net *n);

/* Milliseconds; only goes forward. */
uint64_t net_clock(void);

/* For NET_UNTIL. */
void net_turn_since(net *n, uint64_t started, const char *condition);

/* Fails the test and shows all logs. */
void net_fail(const net *n, const char *what);

/* -- What happened --------------------------------------------------------- */

/* Compares a log with what should be in it, then empties it. */
#define assert_log(end, expected) \
  net_assert_log(&(end)->log, expected, __FILE__, __LINE__)
void net_assert_log(transcript *log, const char *expected, const char *file,
                    int line);

/* The last message, byte by byte. */
void assert_last_message(const net_end *end, const void *data, size_t len);

/* Why a connection failed, who was at fault, and which Close code told the
 * peer. */
void assert_cause(const net_end *end, ws_err err, ws_side side,
                  uint16_t close_code);

/* How many descriptors the process has. A lookup that nobody waits for any more
 * may have opened a file, so that the number asserted is waited for. */
int net_descriptors(void);
void net_assert_descriptors(int expected);

/* Bounds what the system keeps in a socket, by SO_SNDBUF or SO_RCVBUF: else it
 * is some megabytes, more or less as the machine has time. */
void net_bound_buffer(int fd, int option);

/* -- Files ----------------------------------------------------------------- */

/* The path of a name in a folder of the test, which ends with it. Valid until
 * the next call. */
const char *net_path(net *n, const char *name);

/* Writes a file there. */
void net_write_file(net *n, const char *name, const void *data, size_t len);

#endif
