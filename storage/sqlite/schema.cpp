#include "storage/sqlite/schema.h"

#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <spdlog/fmt/fmt.h>

#include "storage/sqlite/database.h"

namespace keyturn::storage::sqlite {
namespace {

constexpr int kSchemaVersion = 1;

// `at` is in milliseconds since the epoch. `head` has one row: the last entry, so that a journal whose end
// was cut off is noticed. `seen` holds the keys of batches that may happen only once.
constexpr const char* kTables = R"(
CREATE TABLE entries (
  sequence INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  rotation TEXT NOT NULL,
  type TEXT NOT NULL CHECK (type <> ''),
  actor TEXT NOT NULL,
  data TEXT NOT NULL,
  previous_hash TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE TABLE head (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  sequence INTEGER NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE TABLE boxes (
  rotation TEXT NOT NULL,
  purpose TEXT NOT NULL CHECK (purpose <> ''),
  wrapped_key BLOB NOT NULL,
  ciphertext BLOB NOT NULL,
  PRIMARY KEY (rotation, purpose)
) STRICT, WITHOUT ROWID;
CREATE TABLE seen (
  key TEXT PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)";

int version_of(SQLite::Database& database) { return database.execAndGet("PRAGMA user_version").getInt(); }

bool is_blank(SQLite::Database& database) {
  return database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() == 0;
}

void create_tables(SQLite::Database& database) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  database.exec(kTables);
  SQLite::Statement insert(database, "INSERT INTO head (only_row, sequence, hash) VALUES (1, ?, ?)");
  const ChainHead empty;
  insert.bind(1, empty.sequence);
  insert.bind(2, empty.hash);
  insert.exec();
  database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

}  // namespace

void prepare_schema(SQLite::Database& database, const std::filesystem::path& file) {
  if (version_of(database) == 0 && is_blank(database)) create_tables(database);
  require_schema(database, file);
}

void require_schema(SQLite::Database& database, const std::filesystem::path& file) {
  const int version = version_of(database);
  if (version == kSchemaVersion) return;
  if (version > kSchemaVersion) {
    throw DatabaseError(fmt::format(
        "{} was written by a newer keyturn (schema {}, this one knows {}): start that version instead",
        file.string(), version, kSchemaVersion));
  }
  throw DatabaseError(fmt::format("{} is not a journal of keyturn", file.string()));
}

void for_each_entry(SQLite::Database& database, const std::function<void(Entry)>& each,
                    const std::optional<std::string>& rotation) {
  SQLite::Statement select(
      database,
      "SELECT sequence, at, rotation, type, actor, data, previous_hash, hash FROM entries "
      "WHERE ?1 IS NULL OR rotation = ?1 ORDER BY sequence");
  if (rotation) select.bind(1, *rotation);
  while (select.executeStep()) {
    each({
        .sequence = select.getColumn(0).getInt64(),
        .at = TimePoint(Duration(select.getColumn(1).getInt64())),
        .rotation = select.getColumn(2).getString(),
        .type = select.getColumn(3).getString(),
        .actor = select.getColumn(4).getString(),
        .data = select.getColumn(5).getString(),
        .previous_hash = select.getColumn(6).getString(),
        .hash = select.getColumn(7).getString(),
    });
  }
}

ChainHead read_head(SQLite::Database& database) {
  SQLite::Statement select(database, "SELECT sequence, hash FROM head");
  if (!select.executeStep())
    return {};  // somebody emptied the table: the chain check then says what doesn't fit
  return {.sequence = select.getColumn(0).getInt64(), .hash = select.getColumn(1).getString()};
}

}  // namespace keyturn::storage::sqlite
