// The net under the secret types: every heap block is overwritten before it goes back to the allocator,
// because JSON parsers, HTTP buffers and TLS stacks copy secrets through plain memory that no type of ours
// guards. A program that links this file has its operator new and delete replaced (any program that links the
// storage library and allocates, in fact); wipe_freed_memory() does the same for OpenSSL's own allocations.
// Out of reach: memory that C libraries and Asio's recycled coroutine frames hand straight to free(), and the
// stack. Sanitizer builds keep the sanitizer's allocator, which is what finds the bugs there.
#pragma once

namespace keyturn::storage {

// First thing in main, before OpenSSL allocates anything. False when it was too late: OpenSSL keeps its own
// then.
bool wipe_freed_memory();

}  // namespace keyturn::storage
