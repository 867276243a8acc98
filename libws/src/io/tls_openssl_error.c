/* tls_openssl_error.c - OpenSSL's errors in the words of a person. */
#include "io/tls_openssl.h"

#include "io/net.h"

#include <string.h>

#include <openssl/err.h>

/* Reasons of OpenSSL that a person would not understand. */
static const struct {
  int reason;
  const char *text;
} plain_words[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS"},
    {SSL_R_HTTP_REQUEST, "the peer speaks HTTP without TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer offers no TLS version allowed here"},
    {SSL_R_NO_SHARED_CIPHER, "no cipher that both sides allow"},
    {SSL_R_NO_APPLICATION_PROTOCOL,
     "the client does not offer http/1.1 (ALPN)"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client has no certificate"},
};

void ws__openssl_describe(unsigned long error, char *text) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_SYSTEM_ERROR(error)) {
    (void)ws__errno_text(reason, text);
    return;
  }
  const char *words = ERR_reason_error_string(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    /* These begin with the version that brought the alert: "tlsv1 alert ". */
    const char *alert = words != NULL ? strstr(words, "alert ") : NULL;
    if (alert != NULL && reason > SSL_AD_REASON_OFFSET) {
      ws__detail_set(text, "alert from the peer: %s", alert + strlen("alert "));
      return;
    }
    for (size_t i = 0; i < sizeof(plain_words) / sizeof(plain_words[0]); i++) {
      if (reason != plain_words[i].reason) continue;
      ws__detail_set(text, "%s (%s)", plain_words[i].text, words);
      return;
    }
  }
  if (words == NULL) {
    ws__detail_set(text, "OpenSSL error %lx", error);
  } else {
    ws__detail_set(text, "%s", words);
  }
}

int ws__openssl_give_up(char *detail, const char *what) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
    return ws__openssl_no_memory(detail);
  }
  char text[WS__DETAIL_SIZE];
  ws__openssl_describe(error, text);
  ws__detail_set(detail, "%s: %s", what, text);
  return WS_ERR_TLS;
}
