/* process.c - see process.h. The handler of signals touches two counters and a
 * pointer that does not change while it is installed. */
#include "process.h"

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)

static ws_loop *stopped_loop;
static volatile sig_atomic_t interrupts;
static volatile sig_atomic_t hangups;

static void count_signal(int number) {
  if (number == SIGHUP) hangups = 1;
  else if (interrupts < SIG_ATOMIC_MAX) interrupts++;
  ws_loop_stop(stopped_loop);
}

static void handle(int number, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, NULL);
}

void signals_catch(ws_loop *loop, bool wants_hangup) {
  stopped_loop = loop;
  handle(SIGINT, count_signal);
  handle(SIGTERM, count_signal);
  if (wants_hangup) handle(SIGHUP, count_signal);
}

void signals_ignore(void) {
  handle(SIGINT, SIG_IGN);
  handle(SIGTERM, SIG_IGN);
  handle(SIGHUP, SIG_IGN);
}

int signals_interrupts(void) {
  return (int)interrupts;
}

bool signals_take_hangup(void) {
  if (hangups == 0) return false;
  hangups = 0; /* One that comes before this is the same as the last. */
  return true;
}

void raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit); /* Else with fewer. */
}

uint64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}
