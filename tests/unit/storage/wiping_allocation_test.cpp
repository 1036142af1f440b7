#include "storage/wiping_allocation.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <new>

// Reads freed memory through the kernel, as an attacker with the process's memory would: the program itself
// never touches a dead object, so there is nothing undefined for a compiler to take advantage of.
#ifndef KEYTURN_SANITIZED

namespace {

constexpr std::size_t kBytes = 512;

// The allocator keeps its own list in the first bytes of a free block; what follows was ours.
constexpr std::size_t kAllocatorsOwn = 16;

// On the stack, because a buffer from the heap might be the very block that was freed.
struct Bytes {
  std::array<char, kBytes> values{};
  bool read = false;

  auto count(char wanted, std::size_t from = 0) const {
    return std::count(values.begin() + static_cast<std::ptrdiff_t>(from), values.end(), wanted);
  }
};

Bytes memory_at(std::uintptr_t address) {
  Bytes bytes;
  const iovec here = {.iov_base = bytes.values.data(), .iov_len = kBytes};
  const iovec there = {.iov_base = reinterpret_cast<void*>(address), .iov_len = kBytes};
  bytes.read = process_vm_readv(getpid(), &here, 1, &there, 1, 0) == static_cast<ssize_t>(kBytes);
  return bytes;
}

template <typename Release>
void check_wiped_after(void* block, Release release) {
  std::memset(block, 'k', kBytes);
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  const Bytes before = memory_at(address);
  release(block);
  const Bytes after = memory_at(address);
  if (!before.read || !after.read) {
    WARN("the system doesn't let a process read its own memory through the kernel: not tested");
    return;
  }
  CHECK(before.count('k') == kBytes);
  CHECK(after.count('\0', kAllocatorsOwn) == kBytes - kAllocatorsOwn);
}

}  // namespace

TEST_CASE("memory is wiped when it is freed, by every form of delete") {
  constexpr auto kAlignment = std::align_val_t(64);
  check_wiped_after(operator new(kBytes), [](void* block) { operator delete(block); });
  check_wiped_after(operator new(kBytes), [](void* block) { operator delete(block, kBytes); });
  check_wiped_after(operator new[](kBytes), [](void* block) { operator delete[](block); });
  check_wiped_after(operator new[](kBytes), [](void* block) { operator delete[](block, kBytes); });
  check_wiped_after(operator new(kBytes, std::nothrow),
                    [](void* block) { operator delete(block, std::nothrow); });
  check_wiped_after(operator new(kBytes, kAlignment),
                    [](void* block) { operator delete(block, kAlignment); });
  check_wiped_after(operator new[](kBytes, kAlignment),
                    [](void* block) { operator delete[](block, kAlignment); });
}

TEST_CASE("allocation still fails and aligns as the standard says") {
  const volatile std::size_t too_much = SIZE_MAX / 2;
  CHECK_THROWS_AS(operator new(too_much), std::bad_alloc);
  CHECK(operator new(too_much, std::nothrow) == nullptr);
  void* aligned = operator new(100, std::align_val_t(4096));
  CHECK(reinterpret_cast<std::uintptr_t>(aligned) % 4096 == 0);
  operator delete(aligned, std::align_val_t(4096));
  void* nothing = operator new(0);
  CHECK(nothing != nullptr);
  operator delete(nothing);
}

#endif
