// The journal in one SQLite file (WAL, synchronous=FULL) behind one writer thread that commits whatever is
// waiting as one group. The only folder that includes SQLiteCpp. Thread: construct, use and destroy on the io
// thread, and destroy it before the io_context. The destructor finishes the commits that wait, then closes. A
// commit that has begun can't be cancelled: a coroutine that is cancelled while it waits still gets the
// outcome, because an unknown one would be worse than a late one. Failure: opening throws DatabaseError (in
// words for the person who runs the bot): another process holds the file, a schema that is newer than this
// program, a disk that refuses, a journal whose chain is broken. A commit that fails throws DatabaseError
// too, wrote nothing, and doesn't hurt the commits that shared its group. Destroyed boxes: their bytes are
// overwritten in the file and the WAL is emptied before the commit returns (or, while a reader holds the WAL,
// as soon as it lets go). Blocks that the file system itself keeps are out of our reach.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>

#include "storage/journal.h"

namespace keyturn::storage::sqlite {

class DatabaseError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using EachEntry = std::function<void(Entry)>;

class Database final : public Journal {
 public:
  // `io` is where awaitables resume. Creates the file (mode 0600) when there is none, and takes an exclusive
  // lock on FILE.lock for as long as it lives, so that two bots never share a journal. Calls `each`, on this
  // thread, for every entry there is, oldest first, once the chain holds as far as that entry; what `each`
  // has seen counts only when the constructor returns.
  Database(boost::asio::any_io_executor io, const std::filesystem::path& file, const EachEntry& each = {});
  ~Database() override;

  boost::asio::awaitable<Committed> commit(Batch batch) override;
  boost::asio::awaitable<std::optional<SealedBox>> box(BoxName name) override;
  boost::asio::awaitable<std::vector<Entry>> entries_of(std::string rotation) override;

 private:
  class Writer;
  std::shared_ptr<Writer> writer_;
};

// Reads a journal without the lock, while a bot may be running (WAL readers don't disturb the writer). Calls
// `each` for every entry, oldest first. For `keyturn audit`.
void read_entries(const std::filesystem::path& file, const EachEntry& each);

// As read_entries, for every sealed box there is.
void read_boxes(const std::filesystem::path& file, const std::function<void(const NewBox&)>& each);

// Follows the chain from the first entry to the last. Nothing: every hash holds and no number is missing.
std::optional<ChainFault> verify_chain(const std::filesystem::path& file, std::int64_t& entries_read);

}  // namespace keyturn::storage::sqlite
