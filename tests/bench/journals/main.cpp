// bench_journal: writes a journal as long as one likes, through storage/, from what one real rotation left.
//   bench_journal TEMPLATE ROTATIONS TARGETS JOURNAL
// TEMPLATE is what `keyturn audit export` printed of one rotation; it is repeated, a minute apart and long
// ago, over as many targets ("stripe e0", "stripe e1", ...).
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <fstream>
#include <iostream>

#include "storage/clock.h"
#include "storage/ids.h"
#include "storage/sqlite/database.h"

namespace {

using namespace keyturn;
using nlohmann::json;

constexpr int kTogether = 50;  // rotations in one commit

struct Template {
  std::vector<json> entries;
  storage::TimePoint began;
};

Template read_template(const std::string& file) {
  Template found;
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    json entry = json::parse(line);
    if (!entry.at("rotation").get<std::string>().empty()) found.entries.push_back(std::move(entry));
  }
  if (found.entries.empty()) throw std::runtime_error(file + " holds no rotation");
  found.began = storage::from_iso8601(found.entries.front().at("at").get<std::string>()).value();
  return found;
}

void append_rotation(std::vector<storage::NewEntry>& entries, const Template& from, storage::TimePoint began,
                     const std::string& environment) {
  const std::string id = storage::new_rotation_id(began);
  for (const json& entry : from.entries) {
    json data = entry.at("context");
    if (data.contains("target")) data["target"]["environment"] = environment;
    const auto at = storage::from_iso8601(entry.at("at").get<std::string>()).value();
    entries.push_back({.at = began + (at - from.began),
                       .rotation = id,
                       .type = entry.at("action"),
                       .actor = entry.at("actor"),
                       .data = std::move(data)});
  }
}

boost::asio::awaitable<void> write(storage::sqlite::Database& database, const Template& from, int rotations,
                                   int targets) {
  const auto now = storage::SystemClock().now();
  storage::Batch batch;
  for (int i = 0; i < rotations; ++i) {
    const auto began = now - std::chrono::hours(48) - std::chrono::minutes(rotations - i);
    append_rotation(batch.entries, from, began, "e" + std::to_string(i % targets));
    if ((i + 1) % kTogether != 0 && i + 1 != rotations) continue;
    co_await database.commit(std::exchange(batch, {}));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: bench_journal TEMPLATE ROTATIONS TARGETS JOURNAL\n";
    return 64;
  }
  try {
    const Template from = read_template(argv[1]);
    boost::asio::io_context io;
    storage::sqlite::Database database(io.get_executor(), argv[4]);
    boost::asio::co_spawn(io, write(database, from, std::stoi(argv[2]), std::stoi(argv[3])),
                          [](std::exception_ptr failure) {
                            if (failure) std::rethrow_exception(failure);
                          });
    io.run();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench_journal: " << error.what() << '\n';
    return 1;
  }
}
