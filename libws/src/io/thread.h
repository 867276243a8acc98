/* thread.h - threads beside those of the program. */
#ifndef WS__THREAD_H
#define WS__THREAD_H

#include "base/hidden.h"

#include <pthread.h>

WS__HIDDEN_BEGIN

/* Starts a thread that takes none of the program's signals: their handlers may
 * not expect it, and they have to interrupt those who wait for them.
 * `attributes` may be NULL. Returns 0 or an errno value. */
int ws__thread_start(pthread_t *out_thread, const pthread_attr_t *attributes,
                     void *(*run)(void *arg), void *arg);

WS__HIDDEN_END

#endif
