// Preloaded into the bot by tests (LD_PRELOAD), never linked to it: nothing is overwritten before it is freed. So a search of
// the bot's memory has something to find, and a search that finds nothing then is blind.
#define _GNU_SOURCE
#include <stddef.h>

void explicit_bzero(void *block, size_t size) {
  (void)block;
  (void)size;
}
// What _FORTIFY_SOURCE makes of it.
void __explicit_bzero_chk(void *block, size_t size, size_t room) {
  (void)room;
  explicit_bzero(block, size);
}
void OPENSSL_cleanse(void *block, size_t size) {
  (void)block;
  (void)size;
}
