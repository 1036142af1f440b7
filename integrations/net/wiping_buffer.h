// Bytes on their way in or out. Configuration and keys pass here, so whatever memory it gives up is
// overwritten first. Thread: io only.
#pragma once

#include <openssl/crypto.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace keyturn::net {

class WipingBuffer {
 public:
  WipingBuffer() = default;
  explicit WipingBuffer(std::size_t capacity) { grow(capacity); }
  ~WipingBuffer() { wipe(); }
  WipingBuffer(WipingBuffer&& other) noexcept { swap(other); }
  WipingBuffer& operator=(WipingBuffer&& other) noexcept {
    wipe();
    swap(other);
    return *this;
  }
  WipingBuffer(const WipingBuffer&) = delete;
  WipingBuffer& operator=(const WipingBuffer&) = delete;

  bool empty() const { return begin_ == end_; }
  std::size_t size() const { return end_ - begin_; }
  std::string_view view() const { return {bytes_.get() + begin_, size()}; }
  boost::asio::const_buffer data() const { return {bytes_.get() + begin_, size()}; }

  // Room for `size` more bytes; commit() what was written into it. Invalidates views.
  boost::asio::mutable_buffer prepare(std::size_t size) {
    if (end_ + size > capacity_) make_room(size);
    return {bytes_.get() + end_, size};
  }
  void commit(std::size_t size) { end_ += size; }

  void append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(prepare(text.size()).data(), text.data(), text.size());
    commit(text.size());
  }

  // Drops bytes from the front; they are overwritten by wipe() or by the bytes that come next.
  void consume(std::size_t size) {
    begin_ += size;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  // Overwrites everything that was ever in here but what is still to be read.
  void wipe_consumed() {
    if (capacity_ == 0) return;
    OPENSSL_cleanse(bytes_.get(), begin_);
    OPENSSL_cleanse(bytes_.get() + end_, capacity_ - end_);
  }

  void wipe() {
    if (capacity_ != 0) OPENSSL_cleanse(bytes_.get(), capacity_);
    begin_ = end_ = 0;
  }

 private:
  void swap(WipingBuffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(capacity_, other.capacity_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
  }

  void make_room(std::size_t size) {
    if (this->size() + size > capacity_) {
      grow(std::max(capacity_ * 2, this->size() + size));
      return;
    }
    std::memmove(bytes_.get(), bytes_.get() + begin_, this->size());
    end_ -= begin_;
    begin_ = 0;
  }

  void grow(std::size_t capacity) {
    auto larger = std::make_unique<char[]>(capacity);
    const std::size_t held = size();
    if (held != 0) std::memcpy(larger.get(), bytes_.get() + begin_, held);
    wipe();
    bytes_ = std::move(larger);
    capacity_ = capacity;
    end_ = held;
  }

  std::unique_ptr<char[]> bytes_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace keyturn::net
