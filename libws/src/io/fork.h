/* fork.h - tells a forked child from its parent without asking the system. */
#ifndef WS__FORK_H
#define WS__FORK_H

#include "base/hidden.h"

WS__HIDDEN_BEGIN

/* Begins to count forks; further calls change nothing. Returns 0, or
 * WS_ERR_NO_MEMORY. Any thread. */
int ws__fork_watch(void);

/* How many forks lie between this process and the one that called
 * ws__fork_watch() first. Any thread. */
unsigned ws__fork_count(void);

WS__HIDDEN_END

#endif
