/* thread.c - see thread.h. */
#include "io/thread.h"

#include <signal.h>

int ws__thread_start(pthread_t *out_thread, const pthread_attr_t *attributes,
                     void *(*run)(void *arg), void *arg) {
  sigset_t all, before;
  sigfillset(&all);
  /* A thread begins with the mask of the one that creates it. */
  int error = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (error != 0) return error;
  error = pthread_create(out_thread, attributes, run, arg);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}
