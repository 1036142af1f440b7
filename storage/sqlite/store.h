// The journal's SQLite file, synchronously: opening and checking it, committing a group of batches, reading.
// Thread: one at a time (the writer thread's, once opened). Failure: the constructor throws DatabaseError; a
// batch that fails says so in its Outcome.
#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/chain_check.h"
#include "storage/journal.h"
#include "storage/sqlite/file_guard.h"
#include "storage/sqlite/page_queue.h"

namespace keyturn::storage::sqlite {

// A batch whose JSON is text already. The entries lack their sequence and hashes, which only the writer
// knows.
struct PreparedBatch {
  std::vector<Entry> entries;
  std::vector<NewBox> boxes;
  std::vector<BoxName> destroyed;
  std::optional<std::string> once;
};

// Throws DatabaseError when an entry's data can't be written as JSON.
PreparedBatch prepare(Batch batch);

struct Outcome {
  Committed committed;
  std::string error;  // not empty: the batch wrote nothing, for this reason
};

class Store {
 public:
  // Calls `each` as the constructor of Database does.
  Store(const std::filesystem::path& file, const std::function<void(Entry)>& each);

  // One transaction for all; when one of them fails, one for each, so that only the bad one does.
  std::vector<Outcome> commit(const std::vector<PreparedBatch>& group);

  std::optional<SealedBox> box(const BoxName& name);
  std::vector<Entry> entries_of(const std::string& rotation);

  // True after boxes were destroyed, until the write-ahead log that still holds them could be emptied.
  bool scrub_due() const { return scrub_due_; }
  void scrub();

 private:
  void replay(const std::function<void(Entry)>& each);
  void read_and_check(PageQueue& pages);
  void forget_old_keys();
  void in_transaction(const std::function<void()>& work);
  Outcome commit_alone(const PreparedBatch& batch);
  Committed apply(const PreparedBatch& batch);
  Entry append(Entry entry);
  bool first_time(const std::string& key);
  void put_box(const NewBox& box);
  void destroy_box(const BoxName& name);
  void write_head();

  std::filesystem::path file_;
  FileLock lock_;
  SQLite::Database database_;
  SQLite::Statement begin_;
  SQLite::Statement commit_;
  SQLite::Statement rollback_;
  SQLite::Statement insert_entry_;
  SQLite::Statement update_head_;
  SQLite::Statement insert_seen_;
  SQLite::Statement insert_box_;
  SQLite::Statement delete_box_;
  SQLite::Statement select_box_;
  ChainHead head_;
  bool scrub_due_ = false;
};

}  // namespace keyturn::storage::sqlite
