/* test_net_portable.c - test_net.c over those parts of net.c that are for
 * systems whose socket() and accept() take no flags. The functions compiled
 * here are linked in place of the library's. */
#define HAVE_SOCKET_FLAGS 0
#include "io/net.c"

#include "test_net.c"
