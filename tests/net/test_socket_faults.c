/* test_socket_faults.c - every call of the system fails in turn, in the course
 * of a whole conversation (security: fault table, system calls).
 *
 * What a signal interrupts, what is not ready after all, and what transfers one
 * byte at a time must make no difference. Anything else may end a connection,
 * but nothing hangs, leaks or stays broken. */
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

#include "conversation.h"
#include "net_fixture.h"
#include "test_fault.h"

#ifdef WS_HAVE_OPENSSL
#include "net_tls.h"
#endif

/* -- Between the library and the system ------------------------------------ */

FAULT_WRAP(int, socket, (int family, int type, int protocol),
           (family, type, protocol))
FAULT_WRAP(int, setsockopt,
           (int fd, int level, int name, const void *value, socklen_t len),
           (fd, level, name, value, len))
FAULT_WRAP(int, getsockopt,
           (int fd, int level, int name, void *value, socklen_t *len),
           (fd, level, name, value, len))
FAULT_WRAP(int, bind, (int fd, const struct sockaddr *addr, socklen_t len),
           (fd, addr, len))
FAULT_WRAP(int, listen, (int fd, int backlog), (fd, backlog))
FAULT_WRAP(int, getsockname, (int fd, struct sockaddr *addr, socklen_t *len),
           (fd, addr, len))
FAULT_WRAP(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len),
           (fd, addr, len))
FAULT_WRAP(int, shutdown, (int fd, int how), (fd, how))
FAULT_WRAP(int, accept, (int fd, struct sockaddr *addr, socklen_t *len),
           (fd, addr, len))
FAULT_WRAP(int, poll, (struct pollfd * fds, nfds_t count, int timeout),
           (fds, count, timeout))
#ifdef __linux__
FAULT_WRAP(int, accept4,
           (int fd, struct sockaddr *addr, socklen_t *len, int flags),
           (fd, addr, len, flags))
FAULT_WRAP(int, epoll_create1, (int flags), (flags))
FAULT_WRAP(int, epoll_ctl,
           (int epoll, int operation, int fd, struct epoll_event *event),
           (epoll, operation, fd, event))
FAULT_WRAP(int, epoll_wait,
           (int epoll, struct epoll_event *events, int max, int timeout),
           (epoll, events, max, timeout))
FAULT_WRAP(int, eventfd, (unsigned count, int flags), (count, flags))
FAULT_WRAP(int, timerfd_create, (int clock, int flags), (clock, flags))
FAULT_WRAP(int, timerfd_settime,
           (int fd, int flags, const struct itimerspec *value,
            struct itimerspec *before),
           (fd, flags, value, before))
#endif

/* What is interrupted goes on all the same (POSIX, connect()). */
int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len) {
  if (!fault_hits("connect")) return __real_connect(fd, addr, len);
  if (fault.error == EINTR) (void)__real_connect(fd, addr, len);
  errno = fault.error;
  return fault.answer;
}

/* Transfers are one byte long. */
static bool is_short;

ssize_t __real_recv(int fd, void *data, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t len, int flags) {
  if (fault_hits("recv")) return fault.answer;
  return __real_recv(fd, data, is_short ? 1 : len, flags);
}

ssize_t __real_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags) {
  if (fault_hits("send")) return fault.answer;
  return __real_send(fd, data, is_short ? 1 : len, flags);
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
  if (fault_hits("sendmsg")) return fault.answer;
  if (!is_short) return __real_sendmsg(fd, message, flags);
  return __real_send(fd, message->msg_iov[0].iov_base, 1, flags);
}

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
  if (fault_hits("recvmsg")) return fault.answer;
  if (!is_short) return __real_recvmsg(fd, message, flags);
  return __real_recv(fd, message->msg_iov[0].iov_base, 1, flags);
}

/* -- Running --------------------------------------------------------------- */

static const char *const backends[] = {NULL, "poll"};

/* How many of them a test goes through. */
static size_t backend_count = COUNT(backends);

/* NULL: without TLS. */
static ws_tls_context *server_tls;
static ws_tls_context *client_tls;

static bool has_failed(void) {
  return fault.hits > 0;
}

static conversation begin(const char *backend) {
  conversation c = {
      .backend = backend, .server_tls = server_tls, .client_tls = client_tls};
  assert_true(conversation_begin(&c));
  return c;
}

static void end(conversation *c) {
  conversation_end(c);
  fault_clear();
}

/* -- What makes no difference ---------------------------------------------- */

/* The n-th call of that name fails once, for every n. */
static void assert_harmless(const char *call, int error) {
  for (size_t b = 0; b < backend_count; b++) {
    for (unsigned n = 0;; n++) {
      conversation c = begin(backends[b]);
      fault_set(call, error);
      fault.skip = n;
      const bool was_well = conversation_hold(&c);
      const bool is_reached = fault.hits > 0;
      if (!was_well) {
        fail_msg("call %u of %s fails with %s: %s", n, call, strerror(error),
                 ws_err_name(c.failure));
      }
      end(&c);
      if (!is_reached) break;
    }
  }
}

static void what_a_signal_interrupts_is_done_again(void **state) {
  (void)state;
  static const char *const calls[] = {"recv",    "recvmsg",    "send",
                                      "sendmsg", "accept4",    "accept",
                                      "connect", "epoll_wait", "poll"};
  for (size_t i = 0; i < COUNT(calls); i++)
    assert_harmless(calls[i], EINTR);
}

static void what_is_not_ready_after_all_is_waited_for(void **state) {
  (void)state;
  static const char *const calls[] = {"recv",    "recvmsg", "send",
                                      "sendmsg", "accept4", "accept"};
  for (size_t i = 0; i < COUNT(calls); i++)
    assert_harmless(calls[i], EAGAIN);
}

/* Connections that broke before they were accepted are passed over. */
static void broken_connections_do_not_stop_a_listener(void **state) {
  (void)state;
  static const int errors[] = {ECONNABORTED, EPROTO};
  for (size_t i = 0; i < COUNT(errors); i++) {
    assert_harmless("accept4", errors[i]);
    assert_harmless("accept", errors[i]);
  }
}

static void transfers_of_single_bytes_are_enough(void **state) {
  (void)state;
  for (size_t b = 0; b < backend_count; b++) {
    conversation c = begin(backends[b]);
    is_short = true;
    assert_true(conversation_hold(&c));
    is_short = false;
    end(&c);
  }
}

/* -- What may end a connection --------------------------------------------- */

/* Every call in turn, whatever its name: in setting up and in talking. */
static void assert_survivable(const char *backend, int error) {
  const int descriptors = net_descriptors();
  for (unsigned n = 0;; n++) {
    conversation c = {.backend = backend,
                      .server_tls = server_tls,
                      .client_tls = client_tls,
                      .is_spoilt = has_failed};
    fault_set(NULL, error);
    fault.skip = n;
    const bool has_begun = conversation_begin(&c);
    if (has_begun) (void)conversation_hold(&c);
    const bool is_reached = fault.hits > 0;
    assert_true(has_begun || is_reached);
    fault_clear();
    if (has_begun && !conversation_hold(&c)) {
      fail_msg("call %u fails with %s, and then: %s", n, strerror(error),
               ws_err_name(c.failure));
    }
    end(&c);
    net_assert_descriptors(descriptors);
    if (!is_reached) break;
  }
}

static void whatever_fails_the_next_conversation_goes_well(void **state) {
  (void)state;
  /* One that comes back and one that may pass. */
  static const int errors[] = {EIO, ENOMEM};
  for (size_t i = 0; i < COUNT(errors); i++)
    for (size_t b = 0; b < backend_count; b++)
      assert_survivable(backends[b], errors[i]);
}

#ifdef WS_HAVE_OPENSSL
/* All of it once more, on one back end. */
static int begin_tls(void **state) {
  (void)state;
  cert *self =
      cert_new(&(cert_spec){.common_name = "x", .alt_names = "IP:127.0.0.1"});
  server_tls = net_tls_server(self);
  client_tls = net_tls_client(self, NULL);
  cert_free(self);
  backend_count = 1;
  return 0;
}

static int end_tls(void **state) {
  (void)state;
  ws_tls_context_free(server_tls);
  ws_tls_context_free(client_tls);
  server_tls = client_tls = NULL;
  backend_count = COUNT(backends);
  return 0;
}

#define OVER_TLS(test) \
  { "over TLS: " #test, test, begin_tls, end_tls, NULL }
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_signal_interrupts_is_done_again),
      cmocka_unit_test(what_is_not_ready_after_all_is_waited_for),
      cmocka_unit_test(broken_connections_do_not_stop_a_listener),
      cmocka_unit_test(transfers_of_single_bytes_are_enough),
      cmocka_unit_test(whatever_fails_the_next_conversation_goes_well),
#ifdef WS_HAVE_OPENSSL
      OVER_TLS(what_a_signal_interrupts_is_done_again),
      OVER_TLS(what_is_not_ready_after_all_is_waited_for),
      OVER_TLS(transfers_of_single_bytes_are_enough),
      OVER_TLS(whatever_fails_the_next_conversation_goes_well),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
