#include "storage/wiping_allocation.h"

#ifdef KEYTURN_SANITIZED

namespace keyturn::storage {

bool wipe_freed_memory() { return true; }

}  // namespace keyturn::storage

#else

#include <malloc.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

void wipe_and_free(void* block) noexcept {
  if (block == nullptr) return;
  explicit_bzero(block, malloc_usable_size(block));
  std::free(block);
}

// malloc(0) may be null; operator new may not.
void* try_allocate(std::size_t size) noexcept { return std::malloc(std::max(size, std::size_t{1})); }

void* try_allocate_aligned(std::size_t size, std::align_val_t alignment) noexcept {
  void* block = nullptr;
  const std::size_t boundary = std::max(static_cast<std::size_t>(alignment), sizeof(void*));
  return posix_memalign(&block, boundary, std::max(size, std::size_t{1})) == 0 ? block : nullptr;
}

// The loop that the standard asks of operator new: the new-handler may free something, or throw.
template <typename Attempt>
void* allocate_or_throw(Attempt attempt) {
  for (;;) {
    if (void* block = attempt()) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

template <typename Attempt>
void* allocate_or_null(Attempt attempt) noexcept {
  try {
    return allocate_or_throw(attempt);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void* openssl_malloc(std::size_t size, const char* /*file*/, int /*line*/) { return std::malloc(size); }

void openssl_free(void* block, const char* /*file*/, int /*line*/) { wipe_and_free(block); }

// Never realloc(): it may move the block and leave the old one as it was.
void* openssl_realloc(void* block, std::size_t size, const char* /*file*/, int /*line*/) {
  if (block == nullptr) return std::malloc(size);
  if (size == 0) {
    wipe_and_free(block);
    return nullptr;
  }
  void* moved = std::malloc(size);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, block, std::min(size, malloc_usable_size(block)));
  wipe_and_free(block);
  return moved;
}

}  // namespace

namespace keyturn::storage {

bool wipe_freed_memory() {
  return CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;
}

}  // namespace keyturn::storage

void* operator new(std::size_t size) {
  return allocate_or_throw([=] { return try_allocate(size); });
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return allocate_or_null([=] { return try_allocate(size); });
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept { return operator new(size, tag); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw([=] { return try_allocate_aligned(size, alignment); });
}
void* operator new[](std::size_t size, std::align_val_t alignment) { return operator new(size, alignment); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t& /*tag*/) noexcept {
  return allocate_or_null([=] { return try_allocate_aligned(size, alignment); });
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t& tag) noexcept {
  return operator new(size, alignment, tag);
}

void operator delete(void* block) noexcept { wipe_and_free(block); }
void operator delete[](void* block) noexcept { wipe_and_free(block); }
void operator delete(void* block, std::size_t /*size*/) noexcept { wipe_and_free(block); }
void operator delete[](void* block, std::size_t /*size*/) noexcept { wipe_and_free(block); }
void operator delete(void* block, const std::nothrow_t& /*tag*/) noexcept { wipe_and_free(block); }
void operator delete[](void* block, const std::nothrow_t& /*tag*/) noexcept { wipe_and_free(block); }
void operator delete(void* block, std::align_val_t /*alignment*/) noexcept { wipe_and_free(block); }
void operator delete[](void* block, std::align_val_t /*alignment*/) noexcept { wipe_and_free(block); }
void operator delete(void* block, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  wipe_and_free(block);
}
void operator delete[](void* block, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  wipe_and_free(block);
}
void operator delete(void* block, std::align_val_t /*alignment*/, const std::nothrow_t& /*tag*/) noexcept {
  wipe_and_free(block);
}
void operator delete[](void* block, std::align_val_t /*alignment*/, const std::nothrow_t& /*tag*/) noexcept {
  wipe_and_free(block);
}

#endif
