#include "storage/sqlite/database.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <sys/stat.h>

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage/fingerprint.h"
#include "storage/sqlite/page_queue.h"
#include "support.h"

using namespace keyturn::storage;
using namespace keyturn::storage::testing;
using keyturn::storage::sqlite::Database;
using keyturn::storage::sqlite::DatabaseError;

namespace asio = boost::asio;

namespace {

// One open journal, and its io_context.
struct Journaled {
  explicit Journaled(std::filesystem::path at)
      : file(std::move(at)),
        database(std::make_unique<Database>(io.get_executor(), file,
                                            [this](Entry entry) { found.push_back(std::move(entry)); })) {}

  Committed commit(Batch batch) { return run(io, database->commit(std::move(batch))); }
  std::optional<SealedBox> box(BoxName name) { return run(io, database->box(std::move(name))); }
  std::vector<Entry> entries() const {
    std::vector<Entry> all;
    keyturn::storage::sqlite::read_entries(file, [&](Entry entry) { all.push_back(std::move(entry)); });
    return all;
  }

  std::filesystem::path file;
  std::vector<Entry> found;  // when it was opened
  asio::io_context io;
  std::unique_ptr<Database> database;
};

struct Reply {
  std::optional<Committed> committed;
  std::string error;
};

// Commits all of them at once; the replies in the order of the batches.
std::vector<Reply> commit_together(Journaled& journal, std::vector<Batch> batches) {
  std::vector<Reply> replies(batches.size());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    asio::co_spawn(journal.io, journal.database->commit(std::move(batches[i])),
                   [&reply = replies[i]](std::exception_ptr failure, Committed committed) {
                     if (!failure) {
                       reply.committed = std::move(committed);
                       return;
                     }
                     try {
                       std::rethrow_exception(failure);
                     } catch (const DatabaseError& error) {
                       reply.error = error.what();
                     }
                   });
  }
  journal.io.restart();
  journal.io.run();
  return replies;
}

Batch box_batch(const BoxName& name, const SealedBox& box) {
  Batch batch;
  batch.boxes.push_back({.name = name, .box = box});
  return batch;
}

Batch once_batch(const std::string& key, const std::string& type) {
  Batch batch = batch_of(entry_of("rot_1", type));
  batch.once = key;
  return batch;
}

// The schema refuses an entry without a type, and that is found only inside the transaction.
Batch bad_batch() { return batch_of(entry_of("rot_bad", "")); }

void write_some(const std::filesystem::path& file, int count) {
  Journaled journal(file);
  for (int i = 1; i <= count; ++i) {
    journal.commit(batch_of(entry_of("rot_1", "step", {{"note", "entry number " + std::to_string(i)}})));
  }
}

// More than a reader may be ahead of whoever takes the entries.
std::int64_t write_many(const std::filesystem::path& file) {
  const std::size_t many = sqlite::kEntriesAPage * (sqlite::kPagesAhead + 2) + 1;
  Batch batch;
  for (std::size_t i = 0; i < many; ++i) batch.entries.push_back(entry_of("rot_1", "step"));
  Journaled(file).commit(std::move(batch));
  return static_cast<std::int64_t>(many);
}

void tamper(const std::filesystem::path& file, const std::string& sql) {
  SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
  database.exec(sql);
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::optional<ChainFault> fault_of(const std::filesystem::path& file) {
  std::int64_t entries_read = 0;
  return sqlite::verify_chain(file, entries_read);
}

std::string refusal_of(const std::filesystem::path& file) {
  try {
    const Journaled journal(file);
  } catch (const DatabaseError& error) {
    return error.what();
  }
  return "";
}

unsigned mode_of(const std::filesystem::path& file) {
  struct stat status{};
  if (stat(file.c_str(), &status) != 0) return 0;
  return status.st_mode & 0777U;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const SealedBox kSomeBox = {.wrapped_key = std::string("wrapped\0key", 11), .ciphertext = "ciphertext"};
const BoxName kNewKey = {.rotation = "rot_1", .purpose = "new_key"};

}  // namespace

TEST_CASE("what was committed is there after reopening") {
  const TemporaryFolder folder;
  Entry first;
  {
    Journaled journal(folder.file());
    CHECK(journal.entries().empty());
    auto committed = journal.commit(batch_of(entry_of("rot_1", "secret.rotate.started", {{"mode", "prod"}})));
    REQUIRE(committed.entries.size() == 1);
    CHECK_FALSE(committed.duplicate);
    first = committed.entries[0];
    CHECK(first.sequence == 1);
    CHECK(first.previous_hash == std::string(64, '0'));
    CHECK(first.hash == chain_hash(first));
    CHECK(first.data == R"({"mode":"prod"})");
    CHECK(first.actor == "U0OPERATOR");
  }
  Journaled journal(folder.file());
  const auto second = journal.commit(batch_of(entry_of("rot_1", "secret.rotate.completed"))).entries.at(0);
  CHECK(second.sequence == 2);
  CHECK(second.previous_hash == first.hash);
  for (int reads = 0; reads < 2; ++reads) {
    const auto entries = journal.entries();
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].hash == first.hash);
    CHECK(entries[0].at == first.at);
    CHECK(entries[0].rotation == "rot_1");
    CHECK(entries[1].type == "secret.rotate.completed");
  }
}

TEST_CASE("a commit is in the file when it returns, whether or not the process goes on") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  journal.commit(batch_of(entry_of("rot_1", "secret.rotate.started")));
  // A second reader sees it now, and so does a copy of the files, which is what a killed process leaves.
  std::vector<std::string> types;
  sqlite::read_entries(folder.file(), [&](const Entry& entry) { types.push_back(entry.type); });
  CHECK(types == std::vector<std::string>{"secret.rotate.started"});
  std::filesystem::copy_file(folder.file(), folder.file("copy.db"));
  std::filesystem::copy_file(folder.file("journal.db-wal"), folder.file("copy.db-wal"));
  CHECK(Journaled(folder.file("copy.db")).found.size() == 1);
}

TEST_CASE("looking at a journal that nobody has open leaves nothing beside it") {
  const TemporaryFolder folder;
  const std::string name = "odd #1?mode=rw%41.db";
  {
    Journaled journal(folder.file(name));
    journal.commit(batch_of(entry_of("rot_1", "secret.rotate.started")));
  }
  REQUIRE_FALSE(std::filesystem::exists(folder.file(name + "-wal")));
  std::int64_t entries_read = 0;
  CHECK_FALSE(sqlite::verify_chain(folder.file(name), entries_read));
  CHECK(entries_read == 1);
  sqlite::read_entries(folder.file(name), [](const Entry&) {});
  CHECK_FALSE(std::filesystem::exists(folder.file(name + "-wal")));
  CHECK_FALSE(std::filesystem::exists(folder.file(name + "-shm")));
}

TEST_CASE("text of any kind survives, zero bytes and all") {
  const TemporaryFolder folder;
  const std::string odd = std::string("a\0b", 3) + "'; DROP TABLE entries; -- \xF0\x9F\x94\x91";
  {
    Journaled journal(folder.file());
    journal.commit(batch_of(entry_of(odd, odd, {{"text", odd}})));
  }
  const auto entries = Journaled(folder.file()).found;
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].rotation == odd);
  CHECK(entries[0].type == odd);
  CHECK(nlohmann::json::parse(entries[0].data)["text"] == odd);
}

TEST_CASE("two hundred commits at once keep the chain dense") {
  const TemporaryFolder folder;
  {
    Journaled journal(folder.file());
    std::vector<Batch> batches;
    for (int i = 0; i < 200; ++i) {
      Batch batch = batch_of(entry_of("rot_" + std::to_string(i), "one"));
      batch.entries.push_back(entry_of("rot_" + std::to_string(i), "two"));
      batches.push_back(std::move(batch));
    }
    std::set<std::int64_t> sequences;
    for (const auto& reply : commit_together(journal, std::move(batches))) {
      REQUIRE(reply.committed);
      REQUIRE(reply.committed->entries.size() == 2);
      CHECK(reply.committed->entries[1].sequence == reply.committed->entries[0].sequence + 1);
      for (const auto& entry : reply.committed->entries) CHECK(sequences.insert(entry.sequence).second);
    }
    CHECK(sequences.size() == 400);
    CHECK(*sequences.rbegin() == 400);
  }
  std::int64_t entries_read = 0;
  CHECK_FALSE(sqlite::verify_chain(folder.file(), entries_read));
  CHECK(entries_read == 400);
}

TEST_CASE("awaitables resume on the io thread") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  const auto resumed_on = [](Database& database) -> asio::awaitable<std::thread::id> {
    co_await database.commit(batch_of(entry_of("rot_1", "step")));
    co_return std::this_thread::get_id();
  };
  CHECK(run(journal.io, resumed_on(*journal.database)) == std::this_thread::get_id());
}

TEST_CASE("a batch that may happen once doesn't happen twice, also after reopening") {
  const TemporaryFolder folder;
  {
    Journaled journal(folder.file());
    CHECK_FALSE(journal.commit(once_batch("envelope-1", "first")).duplicate);
    Batch again = once_batch("envelope-1", "second");
    again.boxes.push_back({.name = kNewKey, .box = kSomeBox});
    const auto committed = journal.commit(std::move(again));
    CHECK(committed.duplicate);
    CHECK(committed.entries.empty());
    CHECK_FALSE(journal.box(kNewKey));
  }
  Journaled journal(folder.file());
  CHECK(journal.commit(once_batch("envelope-1", "third")).duplicate);
  CHECK_FALSE(journal.commit(once_batch("envelope-2", "fourth")).duplicate);
  CHECK(journal.entries().size() == 2);
}

TEST_CASE("of the same batch many times in one group, exactly one happens") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  std::vector<Batch> batches;
  for (int i = 0; i < 50; ++i) batches.push_back(once_batch("envelope-" + std::to_string(i % 5), "step"));
  int happened = 0;
  for (const auto& reply : commit_together(journal, std::move(batches))) {
    REQUIRE(reply.committed);
    if (!reply.committed->duplicate) ++happened;
  }
  CHECK(happened == 5);
  CHECK(journal.entries().size() == 5);
}

TEST_CASE("keys of batches that happened more than 30 days ago are forgotten at the next start") {
  const TemporaryFolder folder;
  Journaled(folder.file()).commit(once_batch("old", "step"));
  Journaled(folder.file()).commit(once_batch("new", "step"));
  const auto age = [&](const char* days) {
    tamper(folder.file(), std::string("UPDATE seen SET at = at - 86400000 * ") + days + " WHERE key = 'old'");
  };
  age("29");
  CHECK(Journaled(folder.file()).commit(once_batch("old", "step")).duplicate);
  age("2");
  CHECK_FALSE(Journaled(folder.file()).commit(once_batch("old", "step")).duplicate);
  CHECK(Journaled(folder.file()).commit(once_batch("new", "step")).duplicate);
}

TEST_CASE("a batch that fails writes nothing, and its neighbours don't notice") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  std::vector<Batch> batches;
  for (int i = 0; i < 20; ++i) {
    Batch batch = i % 7 == 3 ? bad_batch() : batch_of(entry_of("rot_good", "step"));
    batch.once = "envelope-" + std::to_string(i);
    batch.boxes.push_back({.name = {.rotation = std::to_string(i), .purpose = "new_key"}, .box = kSomeBox});
    batches.push_back(std::move(batch));
  }
  const auto replies = commit_together(journal, std::move(batches));
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const bool bad = i % 7 == 3;
    CHECK(replies[i].committed.has_value() == !bad);
    CHECK(contains(replies[i].error, bad ? "nothing was written" : ""));
    CHECK(journal.box({.rotation = std::to_string(i), .purpose = "new_key"}).has_value() == !bad);
  }
  CHECK(journal.entries().size() == 17);
  // Its key was not used up, so that the same envelope may be tried again.
  CHECK_FALSE(journal.commit(once_batch("envelope-3", "step")).duplicate);
  CHECK_FALSE(fault_of(folder.file()));
}

TEST_CASE("a failing batch on its own throws and leaves the journal as it was") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  journal.commit(batch_of(entry_of("rot_1", "step")));
  Batch half = batch_of(entry_of("rot_1", "step"));
  half.boxes.push_back({.name = kNewKey, .box = kSomeBox});
  half.entries.push_back(entry_of("rot_1", ""));
  CHECK_THROWS_AS(journal.commit(std::move(half)), DatabaseError);
  CHECK(journal.commit(batch_of(entry_of("rot_1", "step"))).entries.at(0).sequence == 2);
  CHECK_FALSE(journal.box(kNewKey));
  CHECK_FALSE(fault_of(folder.file()));
}

TEST_CASE("text that is no UTF-8 is refused without repeating it") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  CHECK_THROWS_WITH(journal.commit(batch_of(entry_of("rot_1", "step", {{"text", "sekrit\xFF"}}))),
                    Catch::Contains("not UTF-8") && !Catch::Contains("sekrit") && !Catch::Contains("FF"));
  CHECK(journal.entries().empty());
}

TEST_CASE("an empty batch is no commit, and no error") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  const auto committed = journal.commit(Batch{});
  CHECK_FALSE(committed.duplicate);
  CHECK(committed.entries.empty());
}

TEST_CASE("a box is put, replaced and destroyed together with its entry") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  CHECK_FALSE(journal.box(kNewKey));
  Batch put = batch_of(entry_of("rot_1", "key.received"));
  put.boxes.push_back({.name = kNewKey, .box = kSomeBox});
  journal.commit(std::move(put));
  REQUIRE(journal.box(kNewKey));
  CHECK(journal.box(kNewKey)->wrapped_key == kSomeBox.wrapped_key);
  CHECK(journal.box(kNewKey)->ciphertext == kSomeBox.ciphertext);
  CHECK_FALSE(journal.box({.rotation = "rot_1", .purpose = "old_key"}));
  CHECK_FALSE(journal.box({.rotation = "rot_2", .purpose = "new_key"}));

  journal.commit(box_batch(kNewKey, {.wrapped_key = "another", .ciphertext = ""}));
  CHECK(journal.box(kNewKey)->wrapped_key == "another");
  CHECK(journal.box(kNewKey)->ciphertext.empty());

  Batch destroy;
  destroy.destroyed.push_back(kNewKey);
  destroy.destroyed.push_back({.rotation = "rot_9", .purpose = "never there"});
  journal.commit(std::move(destroy));
  CHECK_FALSE(journal.box(kNewKey));
}

TEST_CASE("no byte of a destroyed or replaced key stays in the files") {
  const TemporaryFolder folder;
  const std::string marker = "MARKER-OF-A-WRAPPED-KEY-0123456789";
  // Large enough for overflow pages too, which SQLite frees on another path.
  const SealedBox box = {.wrapped_key = marker,
                         .ciphertext = std::string(20'000, 'c') + "MARKER-OF-A-CIPHERTEXT"};
  const auto everything = [&] {
    return bytes_of(folder.file()) + bytes_of(folder.file("journal.db-wal")) +
           bytes_of(folder.file("journal.db-shm"));
  };
  const bool replace = GENERATE(false, true);
  Journaled journal(folder.file());
  journal.commit(box_batch({.rotation = "rot_0", .purpose = "neighbour"}, kSomeBox));
  journal.commit(box_batch(kNewKey, box));
  REQUIRE(contains(everything(), marker));
  Batch gone;
  if (replace) {
    gone = box_batch(kNewKey, kSomeBox);
  } else {
    gone.destroyed.push_back(kNewKey);
  }
  journal.commit(std::move(gone));
  CHECK_FALSE(contains(everything(), marker));
  CHECK_FALSE(contains(everything(), "MARKER-OF-A-CIPHERTEXT"));
  CHECK(journal.box({.rotation = "rot_0", .purpose = "neighbour"}));
  journal.database.reset();
  CHECK_FALSE(contains(everything(), marker));
}

TEST_CASE("a reader that holds the log only delays the scrubbing, not the commits") {
  const TemporaryFolder folder;
  const SealedBox box = {.wrapped_key = "MARKER-OF-A-WRAPPED-KEY-0123456789", .ciphertext = "c"};
  Journaled journal(folder.file());
  journal.commit(box_batch(kNewKey, box));
  {
    SQLite::Database reader(folder.file().string(), SQLite::OPEN_READONLY);
    SQLite::Transaction snapshot(reader);
    reader.execAndGet("SELECT count(*) FROM entries").getInt();
    Batch destroy = batch_of(entry_of("rot_1", "key.destroyed"));
    destroy.destroyed.push_back(kNewKey);
    CHECK(journal.commit(std::move(destroy)).entries.size() == 1);
    CHECK(contains(bytes_of(folder.file("journal.db-wal")), box.wrapped_key));
  }
  journal.commit(batch_of(entry_of("rot_1", "step")));
  CHECK_FALSE(contains(bytes_of(folder.file("journal.db-wal")), box.wrapped_key));
  CHECK_FALSE(contains(bytes_of(folder.file()), box.wrapped_key));
}

TEST_CASE("a byte flipped in an entry's data is found and named, and the bot doesn't start on it") {
  const TemporaryFolder folder;
  write_some(folder.file(), 5);
  auto bytes = bytes_of(folder.file());
  const auto position = bytes.find("entry number 3");
  REQUIRE(position != std::string::npos);
  bytes[position] = 'E';
  std::ofstream(folder.file(), std::ios::binary) << bytes;

  const auto fault = fault_of(folder.file());
  REQUIRE(fault);
  CHECK(fault->sequence == 3);
  CHECK(fault->what == "hash does not match its content");
  CHECK(contains(refusal_of(folder.file()), "entry 3"));
}

TEST_CASE(
    "opening hands over every entry of a long journal in order, and of a broken one none that doesn't hold") {
  const TemporaryFolder folder;
  const std::int64_t many = write_many(folder.file());
  {
    const Journaled journal(folder.file());
    REQUIRE(static_cast<std::int64_t>(journal.found.size()) == many);
    for (std::int64_t i = 0; i < many; ++i)
      REQUIRE(journal.found[static_cast<std::size_t>(i)].sequence == i + 1);
  }
  tamper(folder.file(), "UPDATE entries SET actor = 'somebody' WHERE sequence = " + std::to_string(many - 1));
  std::int64_t last = 0;
  asio::io_context io;
  const auto open = [&](const sqlite::EachEntry& each) { Database(io.get_executor(), folder.file(), each); };
  CHECK_THROWS_WITH(open([&](const Entry& entry) { last = entry.sequence; }),
                    Catch::Contains("entry " + std::to_string(many - 1)));
  CHECK(last > 0);
  CHECK(last < many - 1);
}

TEST_CASE("an entry that nobody understands stops the opening at once, and lets go of the file") {
  const TemporaryFolder folder;
  write_many(folder.file());
  asio::io_context io;
  const auto open = [&](const sqlite::EachEntry& each) { Database(io.get_executor(), folder.file(), each); };
  int seen = 0;
  CHECK_THROWS_WITH(open([&](const Entry&) {
                      if (++seen == 3) throw std::runtime_error("an unknown event");
                    }),
                    Catch::Contains("an unknown event"));
  CHECK(seen == 3);
  open({});
}

TEST_CASE("a removed entry is found, the last one too") {
  const TemporaryFolder folder;
  const std::string sequence = GENERATE("1", "3", "5");
  write_some(folder.file(), 5);
  tamper(folder.file(), "DELETE FROM entries WHERE sequence = " + sequence);
  const auto fault = fault_of(folder.file());
  REQUIRE(fault);
  CHECK(std::to_string(fault->sequence) == sequence);
  CHECK(fault->what == "entry " + sequence + " is missing");
  CHECK(contains(refusal_of(folder.file()), "entry " + sequence + " is missing"));
}

TEST_CASE("an inserted entry is found, before the first and after the last") {
  const TemporaryFolder folder;
  const std::string sequence = GENERATE("-3", "0", "6");
  write_some(folder.file(), 5);
  tamper(folder.file(),
         "INSERT INTO entries SELECT " + sequence +
             ", at, rotation, type, actor, data, previous_hash, hash FROM entries WHERE sequence = 5");
  const auto fault = fault_of(folder.file());
  REQUIRE(fault);
  CHECK(std::to_string(fault->sequence) == sequence);
  CHECK(contains(refusal_of(folder.file()), "entry " + sequence));
}

TEST_CASE("an entry forged with a matching hash behind the last one is found") {
  const TemporaryFolder folder;
  write_some(folder.file(), 2);
  Entry forged;
  sqlite::read_entries(folder.file(), [&](const Entry& entry) { forged = entry; });
  forged.previous_hash = forged.hash;
  forged.sequence = 3;
  forged.hash = chain_hash(forged);
  tamper(folder.file(), "INSERT INTO entries SELECT 3, at, rotation, type, actor, data, '" +
                            forged.previous_hash + "', '" + forged.hash +
                            "' FROM entries WHERE sequence = 2");
  // `data` is that of entry 2, so only the head knows that entry 3 was never committed.
  const auto fault = fault_of(folder.file());
  REQUIRE(fault);
  CHECK(fault->sequence == 3);
  CHECK(contains(fault->what, "inserted"));
}

TEST_CASE("a second keyturn on the same journal is refused, and the first goes on") {
  const TemporaryFolder folder;
  Journaled first(folder.file());
  CHECK(contains(refusal_of(folder.file()), "another keyturn is using"));
  CHECK(first.commit(batch_of(entry_of("rot_1", "step"))).entries.size() == 1);
  first.database.reset();
  CHECK(refusal_of(folder.file()).empty());
}

TEST_CASE("the journal is for its owner's eyes only, whatever the umask was") {
  const TemporaryFolder folder;
  const mode_t before = umask(0);
  Journaled journal(folder.file());
  journal.commit(batch_of(entry_of("rot_1", "step")));
  umask(before);
  for (const char* name : {"journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock"}) {
    CAPTURE(name);
    CHECK(mode_of(folder.file(name)) == 0600);
  }
}

TEST_CASE("a journal that others could read is taken away from them at the next start") {
  const TemporaryFolder folder;
  write_some(folder.file(), 1);
  std::filesystem::permissions(folder.file(), std::filesystem::perms(0644));
  Journaled journal(folder.file());
  journal.commit(batch_of(entry_of("rot_1", "step")));
  CHECK(mode_of(folder.file()) == 0600);
  CHECK(mode_of(folder.file("journal.db-wal")) == 0600);
}

TEST_CASE("a journal of a newer keyturn, or a file that is none, is refused and left alone") {
  const TemporaryFolder folder;
  write_some(folder.file(), 1);
  tamper(folder.file(), "PRAGMA user_version = 99");
  CHECK(contains(refusal_of(folder.file()), "newer keyturn"));
  CHECK_THROWS_AS(fault_of(folder.file()), DatabaseError);

  {
    SQLite::Database other(folder.file("other.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE recipes (name TEXT)");
  }
  CHECK(contains(refusal_of(folder.file("other.db")), "not a journal of keyturn"));

  const std::string prose(5000, 'x');
  std::ofstream(folder.file("prose.txt")) << prose;
  CHECK(contains(refusal_of(folder.file("prose.txt")), "can't be opened"));
  CHECK(bytes_of(folder.file("prose.txt")) == prose);
}

TEST_CASE("a folder that isn't there is said so") {
  const TemporaryFolder folder;
  CHECK(contains(refusal_of(folder.file("nowhere/journal.db")), "No such file or directory"));
  CHECK_THROWS_WITH(fault_of(folder.file("journal.db")), Catch::Contains("there is no journal"));
  CHECK_FALSE(std::filesystem::exists(folder.file("journal.db")));
}

TEST_CASE("the journal can be read and verified while the bot is writing") {
  const TemporaryFolder folder;
  Journaled journal(folder.file());
  for (int i = 1; i <= 10; ++i) {
    journal.commit(batch_of(entry_of("rot_1", "step")));
    std::int64_t entries_read = 0;
    CHECK_FALSE(sqlite::verify_chain(folder.file(), entries_read));
    CHECK(entries_read == i);
  }
}

TEST_CASE("closing the journal finishes the commits that wait") {
  const TemporaryFolder folder;
  asio::io_context io;
  int done = 0;
  {
    Database database(io.get_executor(), folder.file());
    for (int i = 0; i < 20; ++i) {
      asio::co_spawn(io, database.commit(batch_of(entry_of("rot_1", "step"))),
                     [&](std::exception_ptr failure, const Committed&) { done += failure ? 0 : 1; });
    }
    io.poll();  // every commit is in the queue; some may be done
  }
  io.run();
  CHECK(done == 20);
  CHECK(Journaled(folder.file()).found.size() == 20);
}

TEST_CASE("a commit after closing fails instead of hanging") {
  const TemporaryFolder folder;
  asio::io_context io;
  std::optional<Database> database(std::in_place, io.get_executor(), folder.file());
  auto late_commit = database->commit(batch_of(entry_of("rot_1", "step")));
  auto late_read = database->entries_of("rot_1");
  database.reset();
  CHECK_THROWS_WITH(run(io, std::move(late_commit)), Catch::Contains("closed"));
  CHECK_THROWS_WITH(run(io, std::move(late_read)), Catch::Contains("closed"));
}

TEST_CASE("an io_context that goes away with its coroutines still waiting takes nothing else along") {
  const TemporaryFolder folder;
  int resumed = 0;
  {
    asio::io_context io;
    Database database(io.get_executor(), folder.file());
    for (int i = 0; i < 20; ++i) {
      asio::co_spawn(io, database.commit(batch_of(entry_of("rot_1", "step"))),
                     [&](std::exception_ptr, const Committed&) { ++resumed; });
    }
    while (io.poll_one() != 0 && resumed == 0) {
    }
  }
  CHECK(resumed < 20);
  CHECK(Journaled(folder.file()).found.size() == 20);
}
