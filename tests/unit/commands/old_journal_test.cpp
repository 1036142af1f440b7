// Journals that earlier versions wrote, as they are in somebody's folder: dumps in tests/vectors, one for
// each schema there ever was. Each must open, its chain must hold, and its rotation must be told as it was.
#include <SQLiteCpp/Database.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "commands/rotation/decide.h"
#include "commands/views/messages.h"
#include "storage/sqlite/database.h"

namespace keyturn::test {
namespace {

namespace filesystem = std::filesystem;
using namespace commands::rotation;

class OldJournal {
 public:
  explicit OldJournal(int schema)
      : file_(filesystem::temp_directory_path() /
              ("keyturn-schema-" + std::to_string(schema) + "-" + std::to_string(getpid()) + ".db")) {
    remove();
    std::ifstream dump(std::string(KEYTURN_SOURCE_FOLDER) + "/tests/vectors/journal_schema_" +
                       std::to_string(schema) + ".sql");
    REQUIRE(dump);
    std::stringstream text;
    text << dump.rdbuf();
    SQLite::Database database(file_.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec(text.str());
    database.exec("PRAGMA user_version = " + std::to_string(schema));
  }
  ~OldJournal() { remove(); }

  const filesystem::path& file() const { return file_; }

  std::vector<storage::Entry> opened() const {
    boost::asio::io_context io;
    std::vector<storage::Entry> entries;
    const storage::sqlite::Database database(
        io.get_executor(), file_, [&](storage::Entry entry) { entries.push_back(std::move(entry)); });
    return entries;
  }

 private:
  void remove() const {
    for (const char* end : {"", "-wal", "-shm", ".lock"}) filesystem::remove(file_.string() + end);
  }
  filesystem::path file_;
};

}  // namespace

TEST_CASE("a journal of the first schema opens, its chain holds, and its rotation is told as it was") {
  const OldJournal journal(1);
  std::int64_t read = 0;
  CHECK_FALSE(storage::sqlite::verify_chain(journal.file(), read));
  const auto entries = journal.opened();
  REQUIRE(entries.size() > 50);
  CHECK(static_cast<std::int64_t>(entries.size()) == read);

  State state;
  for (const auto& entry : entries) {
    if (entry.rotation.empty()) continue;
    state.id = entry.rotation;
    apply(state, read_event(entry.type, nlohmann::json::parse(entry.data)), entry.at);
  }
  REQUIRE(state.closed);
  CHECK(state.closed->event.outcome == "rotated");
  CHECK(state.master_keys_pasted == 1);
  CHECK(state.stored);
  CHECK(state.updated.size() == 1);
  CHECK(state.proven_dead_at);
  const TimePoint now = state.last_event_at;
  CHECK(decide(state, now).done);
  CHECK(stage_of(state, now) == Stage::closed);
  CHECK(commands::views::messages_for(state, now).size() > 2);
}

}  // namespace keyturn::test
