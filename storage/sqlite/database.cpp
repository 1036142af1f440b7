#include "storage/sqlite/database.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "storage/sqlite/store.h"

namespace keyturn::storage::sqlite {
namespace asio = boost::asio;

namespace {

constexpr auto kScrubAgainAfter = std::chrono::seconds(1);

using Resume = std::move_only_function<void()>;

// Takes an answer on the writer thread; what it returns is to be run on the io thread.
template <typename T>
using Reply = std::move_only_function<Resume(T)>;

// What a read brought back; errors travel as text and become exceptions on the io thread.
template <typename T>
struct Answer {
  T value{};
  std::string error;
};

// Resumes the coroutine behind `handler` through its own executor, never on the writer thread; until then the
// io_context has work, so that run() doesn't return under a commit.
template <typename T, typename Handler>
Reply<T> reply_through(const asio::any_io_executor& io, Handler handler) {
  auto executor = asio::get_associated_executor(handler, io);
  return [work = asio::make_work_guard(executor), handler = std::move(handler)](T answer) mutable -> Resume {
    return [work = std::move(work), handler = std::move(handler), answer = std::move(answer)]() mutable {
      asio::dispatch(work.get_executor(),
                     [handler = std::move(handler), answer = std::move(answer)]() mutable {
                       std::move(handler)(std::move(answer));
                     });
    };
  };
}

}  // namespace

class Database::Writer {
 public:
  Writer(asio::any_io_executor io, const std::filesystem::path& file, const EachEntry& each)
      : io_(std::move(io)), store_(std::in_place, file, each), thread_([this] { run(); }) {}

  // Finishes what waits, then closes the file and lets go of its lock.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
    store_.reset();
  }

  static asio::awaitable<Committed> commit(std::shared_ptr<Writer> self, Batch batch) {
    auto initiate = [self](auto handler, PreparedBatch prepared) {
      self->enqueue_commit(std::move(prepared), reply_through<Outcome>(self->io_, std::move(handler)));
    };
    asio::use_awaitable_t<> token;
    auto outcome = co_await asio::async_initiate<asio::use_awaitable_t<>, void(Outcome)>(
        std::move(initiate), token, prepare(std::move(batch)));
    if (!outcome.error.empty()) throw DatabaseError(outcome.error);
    co_return std::move(outcome.committed);
  }

  // `read` runs on the writer thread, after every commit that was asked for before it.
  template <typename T>
  static asio::awaitable<T> read(std::shared_ptr<Writer> self, std::function<T(Store&)> read) {
    auto initiate = [self](auto handler, std::function<T(Store&)> work) {
      self->template enqueue_read<T>(std::move(work),
                                     reply_through<Answer<T>>(self->io_, std::move(handler)));
    };
    asio::use_awaitable_t<> token;
    auto answer = co_await asio::async_initiate<asio::use_awaitable_t<>, void(Answer<T>)>(
        std::move(initiate), token, std::move(read));
    if (!answer.error.empty()) throw DatabaseError(answer.error);
    co_return std::move(answer.value);
  }

 private:
  struct Waiting {
    std::vector<PreparedBatch> batches;
    std::vector<Reply<Outcome>> replies;  // of the batch with the same index
    std::vector<std::move_only_function<Resume(Store&)>> reads;

    bool empty() const { return batches.empty() && reads.empty(); }
  };

  static constexpr const char* kClosed = "the journal is closed: keyturn is shutting down";

  // Calls `add`, which appends to waiting_, and wakes the writer thread. False when nothing is taken any
  // more.
  template <typename Add>
  bool enqueue(Add add) {
    {
      const std::lock_guard lock(mutex_);
      if (closing_) return false;
      add();
    }
    wake_.notify_one();
    return true;
  }

  void enqueue_commit(PreparedBatch batch, Reply<Outcome> reply) {
    const bool taken = enqueue([&] {
      waiting_.batches.push_back(std::move(batch));
      waiting_.replies.push_back(std::move(reply));
    });
    if (!taken) asio::post(io_, reply({.committed = {}, .error = kClosed}));
  }

  template <typename T>
  void enqueue_read(std::function<T(Store&)> read, Reply<Answer<T>> reply) {
    const bool taken = enqueue([&] {
      waiting_.reads.emplace_back([read = std::move(read), reply = std::move(reply)](Store& store) mutable {
        return reply(answer_of(read, store));
      });
    });
    if (!taken) asio::post(io_, reply({.value = {}, .error = kClosed}));
  }

  template <typename T>
  static Answer<T> answer_of(const std::function<T(Store&)>& read, Store& store) {
    try {
      return {.value = read(store), .error = {}};
    } catch (const std::exception& error) {
      return {.value = {}, .error = std::string("the journal can't be read: ") + error.what()};
    }
  }

  // The writer thread.
  void run() {
    while (const auto waiting = take()) work_off(*waiting);
  }

  // Everything that waits (nothing, when it is only time to scrub again); nullptr when there is no more to
  // come.
  std::unique_ptr<Waiting> take() {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return closing_ || !waiting_.empty(); };
    if (store_->scrub_due()) {
      wake_.wait_for(lock, kScrubAgainAfter, ready);
    } else {
      wake_.wait(lock, ready);
    }
    if (closing_ && waiting_.empty()) return nullptr;
    return std::make_unique<Waiting>(std::exchange(waiting_, {}));
  }

  void work_off(Waiting& waiting) {
    auto outcomes = store_->commit(waiting.batches);
    if (store_->scrub_due()) store_->scrub();
    std::vector<Resume> resumes;
    resumes.reserve(outcomes.size() + waiting.reads.size());
    for (std::size_t i = 0; i < outcomes.size(); ++i)
      resumes.push_back(waiting.replies[i](std::move(outcomes[i])));
    for (auto& read : waiting.reads) resumes.push_back(read(*store_));
    // Together: what was committed together wakes the io thread once.
    asio::post(io_, [resumes = std::move(resumes)]() mutable {
      for (Resume& resume : resumes) resume();
    });
  }

  const asio::any_io_executor io_;
  std::optional<Store> store_;  // the writer thread's, between construction and close()
  std::mutex mutex_;            // guards the three below
  std::condition_variable wake_;
  Waiting waiting_;
  bool closing_ = false;
  std::thread thread_;  // last: it starts when everything else is there
};

Database::Database(asio::any_io_executor io, const std::filesystem::path& file, const EachEntry& each)
    : writer_(std::make_shared<Writer>(std::move(io), file, each)) {}

Database::~Database() { writer_->close(); }

asio::awaitable<Committed> Database::commit(Batch batch) { return Writer::commit(writer_, std::move(batch)); }

asio::awaitable<std::optional<SealedBox>> Database::box(BoxName name) {
  return Writer::read<std::optional<SealedBox>>(
      writer_, [name = std::move(name)](Store& store) { return store.box(name); });
}

asio::awaitable<std::vector<Entry>> Database::entries_of(std::string rotation) {
  return Writer::read<std::vector<Entry>>(
      writer_, [rotation = std::move(rotation)](Store& store) { return store.entries_of(rotation); });
}

}  // namespace keyturn::storage::sqlite
