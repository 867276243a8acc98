/* chat_page.h - chat.html, which the build makes bytes of. */
#ifndef CLI_CHAT_PAGE_H
#define CLI_CHAT_PAGE_H

#include <stddef.h>

extern const unsigned char chat_page[];
extern const size_t chat_page_len;

#endif
